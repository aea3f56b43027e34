/**
 * The limits of one API process: requests, rows read, bytes sent and streams held, per user or key; requests per
 * address for those who have not logged in.
 */
import { MillraceError } from '../../errors.ts';
import type { RateQuotas } from '../../pipeline/api-protocol.ts';
import { addressGroup } from '../auth/address-group.ts';
import { Allowance, LimitGroup } from './allowance.ts';
import { type Policy, TokenBuckets } from './token-buckets.ts';

const WINDOW_SECONDS = 60;

export class RateLimits {
  readonly #reader: LimitGroup;
  readonly #writer: LimitGroup;
  readonly #anonymous: LimitGroup;
  readonly #maxStreams: number;
  readonly #streamCounts = new Map<string, number>();

  /** `now` gives milliseconds. */
  constructor(quotas: RateQuotas, now: () => number) {
    const buckets = (quota: number, name: string, unit?: string): TokenBuckets | undefined => {
      const policy: Policy = {
        name,
        quota,
        windowSeconds: WINDOW_SECONDS,
        ...(unit !== undefined && { unit }),
      };
      return quota === 0 ? undefined : new TokenBuckets(policy, now);
    };
    this.#reader = new LimitGroup(
      buckets(quotas.requestsPerMinute, 'requests'),
      buckets(quotas.rowsPerMinute, 'rows', 'rows'),
    );
    const ingest = buckets(quotas.ingestBytesPerMinute, 'ingest', 'content-bytes');
    this.#writer = new LimitGroup(undefined, ingest);
    this.#anonymous = new LimitGroup(buckets(quotas.anonymousPerMinute, 'anonymous'), undefined);
    this.#maxStreams = quotas.streamsPerUser;
  }

  /** Of a user or key, for requests and what they read. */
  ofReader(username: string): Allowance {
    return new Allowance(username, this.#reader);
  }

  /** Of a user or key, for what they post: one event in a request or thousands are the same to the limit. */
  ofWriter(username: string): Allowance {
    return new Allowance(username, this.#writer);
  }

  ofAddress(address: string): Allowance {
    return new Allowance(addressGroup(address), this.#anonymous);
  }

  /** Holds a place for a stream; what it returns gives the place back, once. Throws `too_many_requests`. */
  openStream(username: string): () => void {
    const count = this.#streamCounts.get(username) ?? 0;
    if (this.#maxStreams > 0 && count >= this.#maxStreams) {
      throw new MillraceError('too_many_requests', `There are ${count} streams open: close one first.`);
    }
    this.#streamCounts.set(username, count + 1);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      const left = (this.#streamCounts.get(username) ?? 1) - 1;
      if (left > 0) this.#streamCounts.set(username, left);
      else this.#streamCounts.delete(username);
    };
  }
}
