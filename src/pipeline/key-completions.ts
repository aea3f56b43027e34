/**
 * Writes down what became of keyed bodies, many at a time: those that end while one insert runs share the next.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError } from '../errors.ts';
import type { CompletedBody, IdempotencyStore } from './idempotency-port.ts';

interface WaitingCompletion {
  readonly body: CompletedBody;
  readonly resolve: () => void;
  readonly reject: (error: MillraceError) => void;
}

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;

/**
 * Modes: `open` (tried again until ClickHouse takes it: rows that are stored stay so) and `closed` (what waits is rejected).
 * Bounded by the bodies that wait for their answer.
 */
export class KeyCompletions {
  readonly #store: Pick<IdempotencyStore, 'complete'>;
  #waiting: WaitingCompletion[] = [];
  #isWriting = false;
  #isClosed = false;

  constructor(store: Pick<IdempotencyStore, 'complete'>) {
    this.#store = store;
  }

  /** Resolves when it is written; rejects with `shutting_down`. */
  async write(body: CompletedBody): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ body, resolve, reject });
      void this.#write();
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(unwritten());
  }

  async #write(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    for (let failureCount = 0; this.#waiting.length > 0; ) {
      const due = this.#waiting.splice(0);
      try {
        await this.#store.complete(due.map(({ body }) => body));
        failureCount = 0;
        for (const { resolve } of due) resolve();
      } catch {
        if (this.#isClosed) for (const { reject } of due) reject(unwritten());
        else this.#waiting.unshift(...due);
        await delay(Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** failureCount++));
      }
    }
    this.#isWriting = false;
  }
}

function unwritten(): MillraceError {
  return new MillraceError('shutting_down', 'The program is stopping; the body was stored. Send it again.');
}
