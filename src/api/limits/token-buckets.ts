/**
 * Token buckets, one per key, of one policy. A bucket is one number: the time at which it will be full again. What
 * costs more than is left is let through and owed, since the cost of a query is known only at its end.
 */

export interface Policy {
  /** As it stands in the RateLimit fields. */
  readonly name: string;
  /** Tokens of a full bucket, which come back within the window. */
  readonly quota: number;
  readonly windowSeconds: number;
  /** What a token is, where it is not a request. */
  readonly unit?: string;
}

export interface Level {
  readonly remaining: number;
  /** Until the bucket is full again. */
  readonly fullInMs: number;
  /** Until there is a whole token; 0: now. */
  readonly waitMs: number;
}

const MAX_KEYS = 10_000;
/** What is owed costs at most a window's wait. */
const MAX_DEBT_WINDOWS = 2;

export class TokenBuckets {
  readonly policy: Policy;
  readonly #windowMs: number;
  readonly #tokenMs: number;
  readonly #now: () => number;
  /** In the order of their last use: the first is forgotten when there are too many. */
  readonly #fullAtMs = new Map<string, number>();
  #newestKey = '';

  /** `now` gives milliseconds. */
  constructor(policy: Policy, now: () => number) {
    this.policy = policy;
    this.#windowMs = policy.windowSeconds * 1000;
    this.#tokenMs = this.#windowMs / policy.quota;
    this.#now = now;
  }

  level(key: string): Level {
    const fullInMs = this.#debtMs(key, this.#now());
    const leftMs = this.#windowMs - fullInMs;
    return {
      remaining: Math.max(0, Math.floor(this.policy.quota - fullInMs / this.#tokenMs)),
      fullInMs,
      waitMs: Math.max(0, Math.min(this.#tokenMs, this.#windowMs) - leftMs),
    };
  }

  take(key: string, tokenCount: number): void {
    const nowMs = this.#now();
    const debtMs = this.#debtMs(key, nowMs) + tokenCount * this.#tokenMs;
    if (key !== this.#newestKey) this.#fullAtMs.delete(key);
    this.#newestKey = key;
    this.#fullAtMs.set(key, nowMs + Math.min(debtMs, this.#windowMs * MAX_DEBT_WINDOWS));
    if (this.#fullAtMs.size <= MAX_KEYS) return;
    for (const oldest of this.#fullAtMs.keys()) {
      this.#fullAtMs.delete(oldest);
      break;
    }
  }

  /** Bounded, so that a clock that was set back does not lock anybody out. */
  #debtMs(key: string, nowMs: number): number {
    const debtMs = (this.#fullAtMs.get(key) ?? nowMs) - nowMs;
    return Math.min(Math.max(0, debtMs), this.#windowMs * MAX_DEBT_WINDOWS);
  }
}
