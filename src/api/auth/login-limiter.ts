/**
 * Slows down guessing of passwords. Failures are counted per user and address, and per address; never per user
 * alone, so that nobody can lock somebody else out. The clock is handed in.
 */

interface Tally {
  failureCount: number;
  blockedUntilMs: number;
  lastMs: number;
}

const FREE_FAILURES_PER_PAIR = 5;
const FREE_FAILURES_PER_ADDRESS = 50;
const MAX_BLOCK_MS = 60_000;
const FORGET_MS = 15 * 60_000;
const MAX_ENTRIES = 10_000;

export class LoginLimiter {
  readonly #now: () => number;
  /** In the order of their last use: the first is forgotten when there are too many. */
  readonly #tallies = new Map<string, Tally>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Counts an attempt as failed until `succeeded` is called, so that attempts under way count too.
   * Returns 0, or the seconds to wait when the attempt must not be made.
   */
  attempt(username: string, address: string): number {
    const keys = keysOf(username, address);
    const now = this.#now();
    const waitMs = Math.max(...keys.map(([key]) => (this.#tallies.get(key)?.blockedUntilMs ?? 0) - now));
    if (waitMs > 0) return Math.ceil(waitMs / 1000);
    for (const [key, freeCount] of keys) this.#fail(key, freeCount);
    return 0;
  }

  succeeded(username: string, address: string): void {
    const [[pair], [whole]] = keysOf(username, address);
    this.#tallies.delete(pair);
    const tally = this.#tallies.get(whole);
    if (tally !== undefined) tally.failureCount--;
  }

  #fail(key: string, freeCount: number): void {
    const now = this.#now();
    const before = this.#tallies.get(key);
    const isFresh = before !== undefined && now - before.lastMs < FORGET_MS;
    const failureCount = (isFresh ? before.failureCount : 0) + 1;
    const excess = failureCount - freeCount;
    const blockMs = excess < 0 ? 0 : Math.min(MAX_BLOCK_MS, 1000 * 2 ** excess);
    this.#tallies.delete(key);
    this.#tallies.set(key, { failureCount, blockedUntilMs: now + blockMs, lastMs: now });
    if (this.#tallies.size <= MAX_ENTRIES) return;
    for (const oldest of this.#tallies.keys()) {
      this.#tallies.delete(oldest);
      break;
    }
  }
}

type Key = readonly [key: string, freeCount: number];

function keysOf(username: string, address: string): readonly [Key, Key] {
  return [
    [`${address} ${username.slice(0, 64)}`, FREE_FAILURES_PER_PAIR],
    [address, FREE_FAILURES_PER_ADDRESS],
  ];
}
