/**
 * A small answer that many requests go by: who waits for which read.
 */
import { beforeEach, expect, it } from 'vitest';
import { KeptRead } from '../../src/api/auth/kept-read.ts';

let nowMs: number;
let gates: { readonly pass: (value: number) => void; readonly fail: () => void }[];
let failures: unknown[];
let kept: KeptRead<number>;

beforeEach(() => {
  nowMs = 1_000_000;
  gates = [];
  failures = [];
  kept = new KeptRead({
    read: () =>
      new Promise((resolve, reject) => {
        gates.push({ pass: resolve, fail: () => reject(new Error('no answer')) });
      }),
    onFailure: (error) => failures.push(error),
    now: () => nowMs,
    refreshAfterMs: 5000,
    maxAgeMs: 15_000,
  });
});

/** The read with this number, once it has begun. */
async function gate(index: number) {
  await expect.poll(() => gates.length, { timeout: 5000, interval: 5 }).toBeGreaterThan(index);
  return gates[index]!;
}

it('reads once for all, goes on with an old answer meanwhile, and waits when that is too old', async () => {
  const first = Promise.all([kept.get(), kept.get()]);
  (await gate(0)).pass(1);
  expect(await first).toEqual([1, 1]);
  nowMs += 5000;
  expect(await kept.get()).toBe(1);
  (await gate(1)).pass(2);
  await expect.poll(() => kept.get()).toBe(2);
  nowMs += 15_000;
  const third = kept.get();
  (await gate(2)).pass(3);
  expect(await third).toBe(3);
  expect(gates).toHaveLength(3);
});

it('renews with a read that begins after the call, one for all who wait', async () => {
  const before = kept.get();
  await gate(0);
  const renewals = Promise.all([kept.renew(), kept.renew(), kept.renew()]);
  (await gate(0)).pass(1);
  expect(await before).toBe(1);
  (await gate(1)).pass(2);
  await renewals;
  expect(await kept.get()).toBe(2);
  expect(gates).toHaveLength(2);
});

it('says that a renewal failed, keeps the last answer, and tries again', async () => {
  const first = kept.get();
  (await gate(0)).pass(1);
  await first;
  nowMs += 1000;
  const renewal = kept.renew();
  (await gate(1)).fail();
  await expect(renewal).rejects.toThrow('no answer');
  expect(failures).toHaveLength(1);
  expect(await kept.get()).toBe(1);
  nowMs += 1000;
  const again = kept.renew();
  (await gate(2)).pass(3);
  await again;
  expect(await kept.get()).toBe(3);
});

it('has no answer when the last one is older than a minute', async () => {
  const first = kept.get();
  (await gate(0)).pass(1);
  await first;
  nowMs += 60_000;
  const second = kept.get();
  (await gate(1)).fail();
  expect(await second).toBe(1);
  nowMs += 1;
  expect(await kept.get()).toBeUndefined();
  const anew = kept.getAnew(0);
  (await gate(2)).fail();
  await expect(anew).rejects.toThrow('no answer');
  await expect(kept.getAnew(1000)).rejects.toThrow('no answer');
  expect(gates).toHaveLength(3);
});
