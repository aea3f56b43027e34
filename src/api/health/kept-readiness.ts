/**
 * Whether the main thread says that the program is ready: asked once for all who want to know at about the same time,
 * however many do.
 */
import type { Readiness, StatusPort } from '../../pipeline/status-port.ts';

/** How long an answer counts. */
const KEPT_MS = 250;

/** One question is under way at most. */
export class KeptReadiness {
  readonly #status: StatusPort;
  readonly #now: () => number;
  #asking: Promise<Readiness> | undefined;
  #answer: { readonly readiness: Readiness; readonly atMs: number } | undefined;

  /** `now` is in milliseconds and never goes back. */
  constructor(status: StatusPort, now: () => number = () => performance.now()) {
    this.#status = status;
    this.#now = now;
  }

  /** Never rejects. */
  async get(): Promise<Readiness> {
    const answer = this.#answer;
    if (answer !== undefined && this.#now() - answer.atMs < KEPT_MS) return answer.readiness;
    this.#asking ??= this.#ask();
    return await this.#asking;
  }

  async #ask(): Promise<Readiness> {
    const readiness = await this.#read();
    this.#answer = { readiness, atMs: this.#now() };
    this.#asking = undefined;
    return readiness;
  }

  /** A main thread that does not answer is a reason too. */
  async #read(): Promise<Readiness> {
    try {
      return await this.#status.snapshot('readiness');
    } catch {
      const detail = 'The main thread does not answer.';
      return { problems: [{ reason: 'no_progress', detail, since: Date.now() }] };
    }
  }
}
