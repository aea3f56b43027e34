/**
 * Sessions that were ended before their tokens. Kept in memory, by this process, for as long as a token of the
 * session could be valid; bounded, the oldest goes first.
 */
import { REFRESH_TOKEN_SECONDS } from './tokens.ts';

const MAX_ENTRIES = 100_000;

export class EndedSessions {
  readonly #now: () => number;
  /** Session → when it may be forgotten, oldest first. */
  readonly #ended = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  end(sessionId: string): void {
    const now = this.#now();
    this.#ended.set(sessionId, now + REFRESH_TOKEN_SECONDS * 1000);
    for (const [id, untilMs] of this.#ended) {
      if (untilMs > now && this.#ended.size <= MAX_ENTRIES) break;
      this.#ended.delete(id);
    }
  }

  has(sessionId: string): boolean {
    return this.#ended.has(sessionId);
  }
}
