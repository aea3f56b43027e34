/**
 * Keys that sign tokens when many more keys were published: by programs that begin with a new one at each start.
 */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { KeyRing } from '../../src/api/auth/key-ring.ts';
import { publishKey } from '../../src/api/auth/public-keys.ts';
import { toVerifyingKey } from '../../src/api/auth/verifying-key.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type ApiFixture, startApi } from './api-fixture.ts';

const DAY_MS = 86_400_000;
let clickhouse: TestClickHouse;
let one: ApiFixture;
let two: ApiFixture;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  one = await startApi('node', clickhouse.store);
  two = await startApi('node', clickhouse.store);
});

afterAll(async () => {
  await Promise.all([one.stop(), two.stop()]);
  await clickhouse.stop();
});

/** Keys that last longer than any that programs publish. */
async function publishNewer(count: number): Promise<void> {
  const nowMs = Date.now();
  for (let i = 0; i < count; i++) {
    const { x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
    await publishKey(clickhouse.store, toVerifyingKey(x), { nowMs, expiresMs: nowMs + 40 * DAY_MS });
  }
}

const me = async (api: ApiFixture, token: string): Promise<number> =>
  (await fetch(`${api.base}/auth/me`, { headers: { Authorization: `Bearer ${token}` } })).status;

it('are found by their id, and stay known while they are used', async () => {
  const token = await one.token('viewer');
  await publishNewer(70);
  for (let minute = 0; minute < 3; minute++) {
    expect(await me(two, token)).toBe(200);
    for (const { clock } of [one, two]) clock.nowMs += 60_000;
  }
});

it('are looked up a bounded number at a time, and what is not known is not remembered', async () => {
  const { telemetry, keys } = one;
  const ports = { store: clickhouse.store, keys, telemetry, now: Date.now, rotationMs: 30 * DAY_MS };
  const ring = new KeyRing(ports);
  const found = (count: number) =>
    Promise.allSettled(Array.from({ length: count }, (_, i) => ring.find(String(i).padStart(43, 'k'))));
  const results = await found(600);
  const refused = results.filter(({ status }) => status === 'rejected');
  expect(refused).toHaveLength(600 - 512);
  expect(refused[0]).toMatchObject({ reason: { code: 'store_unavailable' } });
  const again = await found(500);
  expect(again).toEqual(Array.from({ length: 500 }, () => ({ status: 'fulfilled', value: undefined })));
});
