/**
 * Counts of failures by some key, each with free ones and then a back-off. Bounded: the counts that were used least
 * lately are forgotten, but those that hold somebody back not for any number of others that do not.
 */

export interface TallyOptions {
  readonly freeCount: number;
  /** Milliseconds. */
  readonly now: () => number;
}

interface Tally {
  failureCount: number;
  readonly blockMs: number;
  readonly lastMs: number;
}

export const MAX_BLOCK_MS = 60_000;
const FORGET_MS = 15 * 60_000;
const MAX_ENTRIES = 10_000;

/** At most 10,000 counts that hold back, and as many that do not. */
export class Tallies {
  readonly #options: TallyOptions;
  /** In the order of their last use. */
  readonly #free = new Map<string, Tally>();
  readonly #blocking = new Map<string, Tally>();

  constructor(options: TallyOptions) {
    this.#options = options;
  }

  /** How long the next attempt has to wait. */
  waitMs(key: string, maxBlockMs = MAX_BLOCK_MS): number {
    const tally = this.#of(key);
    if (tally === undefined) return 0;
    return Math.max(0, tally.lastMs + Math.min(tally.blockMs, maxBlockMs) - this.#options.now());
  }

  /** The failures of the key, with this one. */
  fail(key: string): number {
    const now = this.#options.now();
    const before = this.#of(key);
    const isFresh = before !== undefined && now - before.lastMs < FORGET_MS;
    const failureCount = (isFresh ? before.failureCount : 0) + 1;
    const excess = failureCount - this.#options.freeCount;
    const blockMs = excess < 0 ? 0 : Math.min(MAX_BLOCK_MS, 1000 * 2 ** excess);
    this.forget(key);
    const tallies = blockMs > 0 ? this.#blocking : this.#free;
    tallies.set(key, { failureCount, blockMs, lastMs: now });
    if (tallies.size > MAX_ENTRIES) forgetOldest(tallies);
    return failureCount;
  }

  count(key: string): number {
    return this.#of(key)?.failureCount ?? 0;
  }

  /** One failure was none. */
  takeBack(key: string): void {
    const tally = this.#of(key);
    if (tally !== undefined) tally.failureCount--;
  }

  forget(key: string): void {
    this.#free.delete(key);
    this.#blocking.delete(key);
  }

  #of(key: string): Tally | undefined {
    return this.#blocking.get(key) ?? this.#free.get(key);
  }
}

function forgetOldest(tallies: Map<string, Tally>): void {
  for (const oldest of tallies.keys()) {
    tallies.delete(oldest);
    return;
  }
}
