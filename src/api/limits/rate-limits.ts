/**
 * The limits of one API process: requests, rows read, bytes sent and streams held, per user or key; requests per
 * address for those who have not logged in.
 */
import { MillraceError } from '../../errors.ts';
import type { RateQuotas } from '../../pipeline/api-protocol.ts';
import { addressGroup } from '../auth/address-group.ts';
import { Allowance } from './allowance.ts';
import { type Policy, TokenBuckets } from './token-buckets.ts';

const WINDOW_SECONDS = 60;

export class RateLimits {
  readonly #requests: TokenBuckets | undefined;
  readonly #rows: TokenBuckets | undefined;
  readonly #ingestBytes: TokenBuckets | undefined;
  readonly #anonymous: TokenBuckets | undefined;
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
    this.#requests = buckets(quotas.requestsPerMinute, 'requests');
    this.#rows = buckets(quotas.rowsPerMinute, 'rows', 'rows');
    this.#ingestBytes = buckets(quotas.ingestBytesPerMinute, 'ingest', 'content-bytes');
    this.#anonymous = buckets(quotas.anonymousPerMinute, 'anonymous');
    this.#maxStreams = quotas.streamsPerUser;
  }

  /** Of a user or key, where `isIngest` for what is sent, else for what is read. */
  ofUser(username: string, isIngest: boolean): Allowance {
    return new Allowance(username, this.#requests, isIngest ? this.#ingestBytes : this.#rows);
  }

  ofAddress(address: string): Allowance {
    return new Allowance(addressGroup(address), this.#anonymous, undefined);
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
