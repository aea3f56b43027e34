/**
 * Slows down guessing of passwords. The clock is handed in. What counts, each with free failures and then a back-off
 * of up to a minute:
 * - failures of a user at an address, for everybody there;
 * - failures at an address, for all but the users that have logged in from there before;
 * - addresses at which a user failed, likewise. One address counts once, so that only guessing from many places can
 *   slow a user down at a new one, and nothing does so at an address where the user is known.
 */

export interface LoginAttempt {
  readonly username: string;
  /** As `addressGroup` gives it. */
  readonly address: string;
  /** Whether the user has logged in from there before. */
  readonly isKnown: boolean;
}

interface Tally {
  failureCount: number;
  blockedUntilMs: number;
  lastMs: number;
}

interface Key {
  readonly text: string;
  readonly freeCount: number;
}

const FREE_FAILURES_PER_PAIR = 5;
const FREE_FAILURES_PER_ADDRESS = 50;
const FREE_ADDRESSES_PER_USER = 30;
const MAX_BLOCK_MS = 60_000;
const FORGET_MS = 15 * 60_000;
const MAX_ENTRIES = 10_000;
const MAX_NAME_CHARACTERS = 64;

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
  attempt(attempt: LoginAttempt): number {
    const { pair, address, user } = keysOf(attempt);
    const keys = attempt.isKnown ? [pair] : [pair, address, user];
    const now = this.#now();
    const waitMs = Math.max(...keys.map((key) => (this.#tallies.get(key.text)?.blockedUntilMs ?? 0) - now));
    if (waitMs > 0) return Math.ceil(waitMs / 1000);
    const failureCount = this.#fail(pair);
    if (attempt.isKnown) return 0;
    this.#fail(address);
    if (failureCount === 1) this.#fail(user);
    return 0;
  }

  succeeded(attempt: LoginAttempt): void {
    const { pair, address, user } = keysOf(attempt);
    const isOnlyAttempt = this.#tallies.get(pair.text)?.failureCount === 1;
    this.#tallies.delete(pair.text);
    if (attempt.isKnown) return;
    this.#takeBack(address);
    if (isOnlyAttempt) this.#takeBack(user);
  }

  #fail({ text, freeCount }: Key): number {
    const now = this.#now();
    const before = this.#tallies.get(text);
    const isFresh = before !== undefined && now - before.lastMs < FORGET_MS;
    const failureCount = (isFresh ? before.failureCount : 0) + 1;
    const excess = failureCount - freeCount;
    const blockMs = excess < 0 ? 0 : Math.min(MAX_BLOCK_MS, 1000 * 2 ** excess);
    this.#tallies.delete(text);
    this.#tallies.set(text, { failureCount, blockedUntilMs: now + blockMs, lastMs: now });
    if (this.#tallies.size > MAX_ENTRIES) this.#forgetOldest();
    return failureCount;
  }

  #takeBack({ text }: Key): void {
    const tally = this.#tallies.get(text);
    if (tally !== undefined) tally.failureCount--;
  }

  #forgetOldest(): void {
    for (const oldest of this.#tallies.keys()) {
      this.#tallies.delete(oldest);
      return;
    }
  }
}

/** The first character tells the kinds apart, and an address holds no space. */
function keysOf({ username, address }: LoginAttempt): Readonly<Record<'pair' | 'address' | 'user', Key>> {
  const name = username.slice(0, MAX_NAME_CHARACTERS);
  return {
    pair: { text: `p ${address} ${name}`, freeCount: FREE_FAILURES_PER_PAIR },
    address: { text: `a ${address}`, freeCount: FREE_FAILURES_PER_ADDRESS },
    user: { text: `u ${name}`, freeCount: FREE_ADDRESSES_PER_USER },
  };
}
