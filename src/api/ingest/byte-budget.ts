/**
 * Bytes that may be held at once for bodies under way.
 */
import { MillraceError } from '../../errors.ts';

export class ByteBudget {
  readonly #capacityBytes: number;
  #usedBytes = 0;

  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Runs `work` while `bytes` are reserved; throws `too_many_requests` when they are not to be had. */
  async spend<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    if (this.#usedBytes + bytes > this.#capacityBytes) {
      throw new MillraceError('too_many_requests', 'Too many bodies are under way: try again.');
    }
    this.#usedBytes += bytes;
    try {
      return await work();
    } finally {
      this.#usedBytes -= bytes;
    }
  }
}
