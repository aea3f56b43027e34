/**
 * What one requester may still do, as it stands in the answer (draft-ietf-httpapi-ratelimit-headers-10): the policies
 * as `"requests";q=6000;w=60`, what is left of them as `"requests";r=5999;t=1`.
 */
import { MillraceError } from '../../errors.ts';
import type { Policy, TokenBuckets } from './token-buckets.ts';

const SECOND_MS = 1000;

/** Limits that apply together; one that is off is undefined. */
export class LimitGroup {
  readonly requests: TokenBuckets | undefined;
  /** Of what a request costs besides being one: rows read, or bytes sent. */
  readonly costs: TokenBuckets | undefined;
  readonly all: readonly TokenBuckets[];
  readonly policyField: string;

  constructor(requests: TokenBuckets | undefined, costs: TokenBuckets | undefined) {
    this.requests = requests;
    this.costs = costs;
    this.all = [requests, costs].filter((buckets) => buckets !== undefined);
    this.policyField = this.all.map(({ policy }) => policyText(policy)).join(', ');
  }
}

export class Allowance {
  readonly #key: string;
  readonly #limits: LimitGroup;

  constructor(key: string, limits: LimitGroup) {
    this.#key = key;
    this.#limits = limits;
  }

  /** Counts a request; throws `too_many_requests` when nothing is left, and then it does not count. */
  admit(): void {
    for (const buckets of this.#limits.all) {
      const { waitMs } = buckets.level(this.#key);
      if (waitMs > 0) throw refusal(buckets.policy, waitMs);
    }
    this.#limits.requests?.take(this.#key, 1);
  }

  /** Rows that were read, or bytes that were sent. */
  charge(tokenCount: number): void {
    if (tokenCount > 0) this.#limits.costs?.take(this.#key, tokenCount);
  }

  /** Into the headers of an answer. */
  addFields(headers: Record<string, string>): void {
    const { all, policyField } = this.#limits;
    if (all.length === 0) return;
    let levels = '';
    for (const buckets of all) {
      const { remaining, fullInMs } = buckets.level(this.#key);
      const level = `"${buckets.policy.name}";r=${remaining};t=${Math.ceil(fullInMs / SECOND_MS)}`;
      levels = levels === '' ? level : `${levels}, ${level}`;
    }
    headers['RateLimit-Policy'] = policyField;
    headers['RateLimit'] = levels;
  }
}

function policyText({ name, quota, windowSeconds, unit }: Policy): string {
  return `"${name}";q=${quota};w=${windowSeconds}${unit === undefined ? '' : `;qu="${unit}"`}`;
}

function refusal({ name, quota, windowSeconds }: Policy, waitMs: number): MillraceError {
  const retryAfterSeconds = Math.ceil(waitMs / SECOND_MS);
  return new MillraceError(
    'too_many_requests',
    `The limit "${name}" of ${quota} in ${windowSeconds} s is used up: wait ${retryAfterSeconds} s.`,
    { retryAfterSeconds },
  );
}
