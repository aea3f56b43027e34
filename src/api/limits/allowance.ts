/**
 * What one requester may still do, as it stands in the answer (draft-ietf-httpapi-ratelimit-headers-10): the policies
 * as `"requests";q=6000;w=60`, what is left of them as `"requests";r=5999;t=1`.
 */
import { MillraceError } from '../../errors.ts';
import type { Policy, TokenBuckets } from './token-buckets.ts';

type Fields = Readonly<Record<string, string>>;

const SECOND_MS = 1000;

export class Allowance {
  readonly #key: string;
  readonly #requests: TokenBuckets | undefined;
  /** Of what a request costs besides being one: rows read, or bytes sent. */
  readonly #costs: TokenBuckets | undefined;

  /** A limit that is off is undefined. */
  constructor(key: string, requests: TokenBuckets | undefined, costs: TokenBuckets | undefined) {
    this.#key = key;
    this.#requests = requests;
    this.#costs = costs;
  }

  /** Counts a request; throws `too_many_requests` when nothing is left, and then it does not count. */
  admit(): void {
    for (const buckets of this.#limits()) {
      const { waitMs } = buckets.level(this.#key);
      if (waitMs > 0) throw refusal(buckets.policy, waitMs);
    }
    this.#requests?.take(this.#key, 1);
  }

  /** Rows that were read, or bytes that were sent. */
  charge(tokenCount: number): void {
    if (tokenCount > 0) this.#costs?.take(this.#key, tokenCount);
  }

  fields(): Fields {
    const limits = this.#limits();
    if (limits.length === 0) return {};
    return {
      'RateLimit-Policy': limits.map(({ policy }) => policyField(policy)).join(', '),
      RateLimit: limits.map((buckets) => this.#levelField(buckets)).join(', '),
    };
  }

  #limits(): TokenBuckets[] {
    return [this.#requests, this.#costs].filter((buckets) => buckets !== undefined);
  }

  #levelField(buckets: TokenBuckets): string {
    const { remaining, fullInMs } = buckets.level(this.#key);
    return `"${buckets.policy.name}";r=${remaining};t=${Math.ceil(fullInMs / SECOND_MS)}`;
  }
}

function policyField({ name, quota, windowSeconds, unit }: Policy): string {
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
