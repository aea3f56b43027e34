/** Limits on a clock of their own. */
import { describe, expect, it } from 'vitest';
import type { Allowance } from '../../../src/api/limits/allowance.ts';
import { RateLimits } from '../../../src/api/limits/rate-limits.ts';
import { TokenBuckets } from '../../../src/api/limits/token-buckets.ts';
import type { RateQuotas } from '../../../src/pipeline/api-protocol.ts';

const OFF: RateQuotas = {
  requestsPerMinute: 0,
  rowsPerMinute: 0,
  ingestBytesPerMinute: 0,
  anonymousPerMinute: 0,
  streamsPerUser: 0,
};

describe('token buckets', () => {
  const clock = { nowMs: 1_000_000 };
  const policy = { name: 'test', quota: 60, windowSeconds: 60 };
  const level = (buckets: TokenBuckets) => buckets.level('a');

  it('are full at first, give a token back every second, and hold no more than the quota', () => {
    const buckets = new TokenBuckets(policy, () => clock.nowMs);
    expect(level(buckets)).toEqual({ remaining: 60, fullInMs: 0, waitMs: 0 });
    for (let i = 0; i < 60; i++) buckets.take('a', 1);
    expect(level(buckets)).toEqual({ remaining: 0, fullInMs: 60_000, waitMs: 1000 });
    clock.nowMs += 999;
    expect(level(buckets)).toEqual({ remaining: 0, fullInMs: 59_001, waitMs: 1 });
    clock.nowMs += 1;
    expect(level(buckets)).toEqual({ remaining: 1, fullInMs: 59_000, waitMs: 0 });
    expect(buckets.level('b').remaining).toBe(60);
    clock.nowMs += 600_000;
    expect(level(buckets)).toEqual({ remaining: 60, fullInMs: 0, waitMs: 0 });
  });

  it('let a cost be owed, for a window at most, and forgive a clock that is set back', () => {
    const buckets = new TokenBuckets(policy, () => clock.nowMs);
    buckets.take('a', 90);
    expect(level(buckets)).toEqual({ remaining: 0, fullInMs: 90_000, waitMs: 31_000 });
    buckets.take('a', 1_000_000);
    expect(level(buckets)).toEqual({ remaining: 0, fullInMs: 120_000, waitMs: 61_000 });
    clock.nowMs -= 1_000_000;
    expect(level(buckets).waitMs).toBe(61_000);
    clock.nowMs += 1_000_000;
  });

  it('forget who has not asked for longest, beyond 10,000', () => {
    const buckets = new TokenBuckets(policy, () => clock.nowMs);
    buckets.take('first', 60);
    buckets.take('second', 60);
    for (let i = 0; i < 9998; i++) buckets.take(`key ${i}`, 1);
    buckets.take('first', 1);
    buckets.take('one more', 1);
    expect(buckets.level('first').remaining).toBe(0);
    expect(buckets.level('second').remaining).toBe(60);
  });
});

describe('limits of users', () => {
  const fieldsOf = (allowance: Allowance): Record<string, string> => {
    const headers = {};
    allowance.addFields(headers);
    return headers;
  };
  const clock = { nowMs: 5_000_000 };
  const limitsOf = (quotas: Partial<RateQuotas>) => new RateLimits({ ...OFF, ...quotas }, () => clock.nowMs);

  it('stand in the fields as structured text, those that are off do not', () => {
    const limits = limitsOf({ requestsPerMinute: 100, rowsPerMinute: 6000, ingestBytesPerMinute: 1000 });
    const reader = limits.ofReader('ann');
    reader.admit();
    reader.charge(1000);
    expect(fieldsOf(reader)).toEqual({
      'RateLimit-Policy': '"requests";q=100;w=60, "rows";q=6000;w=60;qu="rows"',
      RateLimit: '"requests";r=99;t=1, "rows";r=5000;t=10',
    });
    const writer = limits.ofWriter('ann');
    writer.charge(1);
    expect(fieldsOf(writer)).toEqual({
      'RateLimit-Policy': '"ingest";q=1000;w=60;qu="content-bytes"',
      RateLimit: '"ingest";r=999;t=1',
    });
    expect(fieldsOf(limitsOf({}).ofReader('ann'))).toEqual({});
  });

  it('refuse with the time to wait, count no refusal, and keep users apart', () => {
    const limits = limitsOf({ requestsPerMinute: 2 });
    const ann = limits.ofReader('ann');
    ann.admit();
    ann.admit();
    const refused = expect.objectContaining({ code: 'too_many_requests', retryAfterSeconds: 30 }) as Error;
    for (let i = 0; i < 5; i++) expect(() => ann.admit()).toThrow(refused);
    limits.ofReader('bob').admit();
    clock.nowMs += 30_000;
    ann.admit();
    expect(() => ann.admit()).toThrow(refused);
  });

  it('hold back who owes rows or bytes', () => {
    const limits = limitsOf({ rowsPerMinute: 1000, ingestBytesPerMinute: 1000 });
    const reader = limits.ofReader('ann');
    reader.admit();
    reader.charge(1500);
    expect(() => reader.admit()).toThrow(/"rows" of 1000 in 60 s is used up: wait 31 s/);
    limits.ofWriter('ann').admit();
    clock.nowMs += 31_000;
    reader.admit();
  });

  it('count the addresses of one IPv6 network as one', () => {
    const limits = limitsOf({ anonymousPerMinute: 1 });
    limits.ofAddress('2001:db8::1').admit();
    expect(() => limits.ofAddress('2001:db8::2').admit()).toThrow(/"anonymous"/);
    limits.ofAddress('2001:db8:0:1::1').admit();
    limits.ofAddress('10.0.0.1').admit();
    limits.ofAddress('10.0.0.2').admit();
  });

  it('bound the streams of a user, and give a place back once', () => {
    const limits = limitsOf({ streamsPerUser: 2 });
    const close = limits.openStream('ann');
    limits.openStream('ann');
    expect(() => limits.openStream('ann')).toThrow(/2 streams open/);
    limits.openStream('bob');
    close();
    close();
    limits.openStream('ann');
    expect(() => limits.openStream('ann')).toThrow(/2 streams open/);
  });
});
