/**
 * Tails that cost too much lately: for a while the same ones are not begun again.
 */

const REFUSED_MS = 60_000;
const MAX_COUNT = 1000;

/** At most 1,000 keys; the oldest goes first. */
export class RefusedTails {
  readonly #now: () => number;
  /** Key → when it was refused, in the order of that. */
  readonly #refusedMs = new Map<string, number>();

  /** `now` is in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  add(key: string): void {
    this.#refusedMs.delete(key);
    this.#refusedMs.set(key, this.#now());
    if (this.#refusedMs.size <= MAX_COUNT) return;
    for (const oldest of this.#refusedMs.keys()) {
      this.#refusedMs.delete(oldest);
      return;
    }
  }

  has(key: string): boolean {
    const refusedMs = this.#refusedMs.get(key);
    return refusedMs !== undefined && Math.abs(this.#now() - refusedMs) < REFUSED_MS;
  }
}
