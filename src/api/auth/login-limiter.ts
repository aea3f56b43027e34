/**
 * Slows down guessing of passwords. The clock is handed in. What counts, each in a table of its own, with free failures
 * and then a back-off of up to a minute:
 * - failures of a user at an address, for everybody there; where the user has logged in from there before, the back-off
 *   goes up to a few seconds only, so that nobody who shares the address locks the user out;
 * - failures at an address, for all but the users that have logged in from there before;
 * - addresses at which a user failed, likewise. One address counts once, so that only guessing from many places can
 *   slow a user down at a new one, and nothing does so at an address where the user is known.
 */
import { MAX_BLOCK_MS, Tallies } from './tallies.ts';

export interface LoginAttempt {
  readonly username: string;
  /** As `addressGroup` gives it. */
  readonly address: string;
  /** Whether the user has logged in from there before. */
  readonly isKnown: boolean;
}

const FREE_FAILURES_PER_PAIR = 5;
const FREE_FAILURES_PER_ADDRESS = 50;
const FREE_ADDRESSES_PER_USER = 30;
const MAX_KNOWN_BLOCK_MS = 5000;
const MAX_NAME_CHARACTERS = 64;

export class LoginLimiter {
  readonly #pairs: Tallies;
  readonly #addresses: Tallies;
  readonly #users: Tallies;

  constructor(now: () => number) {
    this.#pairs = new Tallies({ freeCount: FREE_FAILURES_PER_PAIR, now });
    this.#addresses = new Tallies({ freeCount: FREE_FAILURES_PER_ADDRESS, now });
    this.#users = new Tallies({ freeCount: FREE_ADDRESSES_PER_USER, now });
  }

  /**
   * Counts an attempt as failed until `succeeded` is called, so that attempts under way count too.
   * Returns 0, or the seconds to wait when the attempt must not be made.
   */
  attempt(attempt: LoginAttempt): number {
    const { pair, address, user } = keysOf(attempt);
    const { isKnown } = attempt;
    const pairMs = this.#pairs.waitMs(pair, isKnown ? MAX_KNOWN_BLOCK_MS : MAX_BLOCK_MS);
    const restMs = isKnown ? 0 : Math.max(this.#addresses.waitMs(address), this.#users.waitMs(user));
    const waitMs = Math.max(pairMs, restMs);
    if (waitMs > 0) return Math.ceil(waitMs / 1000);
    const failureCount = this.#pairs.fail(pair);
    if (isKnown) return 0;
    this.#addresses.fail(address);
    if (failureCount === 1) this.#users.fail(user);
    return 0;
  }

  succeeded(attempt: LoginAttempt): void {
    const { pair, address, user } = keysOf(attempt);
    const isOnlyAttempt = this.#pairs.count(pair) === 1;
    this.#pairs.forget(pair);
    if (attempt.isKnown) return;
    this.#addresses.takeBack(address);
    if (isOnlyAttempt) this.#users.takeBack(user);
  }
}

/** An address holds no space. */
function keysOf({ username, address }: LoginAttempt): Readonly<Record<'pair' | 'address' | 'user', string>> {
  const user = username.slice(0, MAX_NAME_CHARACTERS);
  return { pair: `${address} ${user}`, address, user };
}
