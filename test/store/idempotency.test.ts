/** Table `idempotency` through its port, in a real ClickHouse. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Reservation, StoredOutcome } from '../../src/pipeline/idempotency-port.ts';
import type { LaneToken } from '../../src/pipeline/ports.ts';
import { createIdempotencyStore } from '../../src/store/idempotency.ts';
import { createLaneOwnership } from '../../src/store/lane-ownership.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
});

afterAll(async () => {
  await clickhouse.stop();
});

const OUTCOME: StoredOutcome = { kind: 'stored', acceptedCount: 2, rejectedCount: 0, rejected: [] };

let lastPartition = 0;

async function claim(partition: number, owner = 'test'): Promise<LaneToken> {
  const ownership = createLaneOwnership(clickhouse.store, { owner });
  const [standing] = await ownership.claim([{ source: 3, partition }]);
  return { source: 3, partition, epoch: standing!.epoch };
}

const keys = (owner = 'test') => createIdempotencyStore(clickhouse.store, owner);

function place(digest: string, token: LaneToken, fromOffset = 0): Reservation {
  const key = { digest, bodyDigest: 'b' };
  return { key, token, fromOffset, toOffset: fromOffset + 5, receivedMs: 1_700_000_000_123 };
}

describe('reservations', () => {
  it('are found again as they were made, until their body is done with', async () => {
    const token = await claim(++lastPartition);
    expect(await keys().read('found')).toEqual({ reservations: [] });
    expect(await keys().reserve([place('found', token, 7)])).toEqual([true]);
    const { reservations, completed } = await keys().read('found');
    const { source, partition } = token;
    const at = { source, partition, fromOffset: 7, toOffset: 12, receivedMs: 1_700_000_000_123 };
    expect(reservations).toEqual([{ ...at, bodyDigest: 'b', ageMs: expect.any(Number) }]);
    expect(completed).toBeUndefined();
    await keys().complete([{ key: place('found', token).key, outcome: OUTCOME }]);
    expect((await keys().read('found')).completed).toEqual({ bodyDigest: 'b', outcome: OUTCOME });
  });

  it('are withdrawn where another place or an answer stands, and only there', async () => {
    const [a, b] = [await claim(++lastPartition), await claim(++lastPartition)];
    await keys().reserve([place('taken', a)]);
    await keys().complete([{ key: place('done', a).key, outcome: OUTCOME }]);
    const tried = [place('taken', b), place('free', b, 5), place('done', b, 10)];
    expect(await keys().reserve(tried)).toEqual([false, true, false]);
    expect((await keys().read('taken')).reservations).toEqual([
      expect.objectContaining({ partition: a.partition }),
    ]);
    expect((await keys().read('done')).reservations).toEqual([]);
    // What was withdrawn keeps nobody off.
    await keys().withdraw([place('taken', a)]);
    expect(await keys().reserve([place('taken', b, 15)])).toEqual([true]);
  });

  it('made at the same time never stand both', async () => {
    const tokens = [await claim(++lastPartition), await claim(++lastPartition), await claim(++lastPartition)];
    let standingCount = 0;
    for (let round = 0; round < 20; round++) {
      const stands = await Promise.all(
        tokens.map((token, i) => keys(`owner-${i}`).reserve([place(`race-${round}`, token, round * 5)])),
      );
      const count = stands.flat().filter(Boolean).length;
      expect(count).toBeLessThanOrEqual(1);
      standingCount += count;
      const { reservations } = await keys().read(`race-${round}`);
      expect(reservations).toHaveLength(count);
    }
    expect(standingCount).toBeLessThan(20 * tokens.length);
  });

  it('cannot be made or withdrawn once the lane was taken over', async () => {
    const token = await claim(++lastPartition);
    await keys().reserve([place('lost', token)]);
    await claim(token.partition, 'another');
    await expect(keys().withdraw([place('lost', token)])).rejects.toMatchObject({ code: 'lane_closed' });
    await expect(keys().reserve([place('late', token, 5)])).rejects.toMatchObject({ code: 'lane_closed' });
    expect((await keys().read('lost')).reservations).toHaveLength(1);
    expect((await keys().read('late')).reservations).toHaveLength(0);
  });

  it('are forgotten after 24 hours, and answers with them', async () => {
    const row = { key: 'old', body: 'b', state: 'done', outcome: JSON.stringify(OUTCOME) };
    const at = async (hours: string): Promise<string> => {
      const [now] = await clickhouse.store.query<{ at: string }>(
        `SELECT toString(now64(3) - toIntervalMinute({minutes:UInt32})) AS at`,
        { minutes: Math.round(Number(hours) * 60) },
      );
      return now!.at;
    };
    await clickhouse.store.command('SYSTEM STOP TTL MERGES idempotency');
    await clickhouse.store.insertJson('idempotency', [{ ...row, created_at: await at('24.1') }]);
    expect(await keys().read('old')).toEqual({ reservations: [] });
    await clickhouse.store.insertJson('idempotency', [{ ...row, created_at: await at('23.9') }]);
    expect((await keys().read('old')).completed).toEqual({ bodyDigest: 'b', outcome: OUTCOME });
  });
});
