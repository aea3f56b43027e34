import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { armFailpoints, shareFailpoints } from '../../src/failpoints.ts';
import type { ClaimRequest, LaneKey, LaneStanding } from '../../src/pipeline/ports.ts';
import { createBlockStore } from '../../src/store/block-store.ts';
import { createStore, type Store } from '../../src/store/clickhouse-client.ts';
import { createOwnerName, fenceAllLanes, REPLACE_MUTEX } from '../../src/store/lane-claims.ts';
import { createLaneOwnership } from '../../src/store/lane-ownership.ts';
import { sumUpLedger } from '../../src/store/ledger-sums.ts';
import { withMutex } from '../../src/store/mutex.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { laneBlock, letterBlock, recordTime } from '../support/lanes.ts';
import { until } from '../support/until.ts';

/** Claims of lanes and what they find, on a real server that is really killed. */

const ROUNDS = 10;
/** For tests of many rounds. */
const LONG_MS = 120_000;
const CLAIMERS = 4;

let clickhouse: TestClickHouse;
let nextPartition = 0;
let lane: LaneKey;

beforeAll(async () => {
  clickhouse = await startClickHouse();
});

beforeEach(() => {
  lane = newLane();
});

afterAll(async () => {
  await clickhouse.stop();
});

function newLane(): LaneKey {
  nextPartition += 1;
  return { source: 9, partition: nextPartition };
}

async function claim(
  owner: string,
  ...requests: ClaimRequest[]
): Promise<readonly (LaneStanding | undefined)[]> {
  return await createLaneOwnership(clickhouse.store, { owner }).claim(requests);
}

async function claimOne(owner: string, request: ClaimRequest = lane): Promise<LaneStanding> {
  const [standing] = await claim(owner, request);
  if (standing === undefined) throw new Error('no standing');
  return standing;
}

/** Tokens that an insert is taken under, of all that were ever drawn for the lane. */
async function validEpochs(
  { source, partition }: LaneKey,
  store: Store = clickhouse.store,
): Promise<number[]> {
  const rows = await store.query<{ epoch: number }>(
    `SELECT DISTINCT epoch FROM lane_claims WHERE source = ${source} AND partition = ${partition}
       AND joinGet('millrace.lane_revocations', 'is_revoked', source, partition, epoch) = 0`,
  );
  return rows.map(({ epoch }) => epoch);
}

async function restart(): Promise<void> {
  const { pid } = clickhouse.server;
  clickhouse.kill();
  await until(async () => clickhouse.server.pid !== pid && (await clickhouse.store.ping()));
}

async function insert(token: LaneStanding, fromOffset: number, count: number): Promise<void> {
  const rows = await laneBlock(clickhouse.store, { ...token, fromOffset, count });
  await createBlockStore(clickhouse.store, { owner: 'tester' }).insertBlocks('logs', [rows], [token]);
}

describe('a claim', () => {
  test('of many lanes gives each a standing, in order, and revokes what was there', async () => {
    const lanes = Array.from({ length: 24 }, newLane);
    const first = await claim('one', ...lanes);
    const second = await claim('two', ...lanes.toReversed());
    expect(first.map((standing) => standing?.partition)).toEqual(lanes.map(({ partition }) => partition));
    for (const standing of second)
      expect(await validEpochs(standing as LaneStanding)).toEqual([standing?.epoch]);
    const epochs = [...first, ...second].map((standing) => `${standing?.partition} ${standing?.epoch}`);
    expect(new Set(epochs).size).toBe(48);
  });

  test(
    'of several programs at the same time leaves one standing, whoever wins',
    async () => {
      const stores = Array.from({ length: CLAIMERS }, () => createStore(clickhouse.connection));
      const lanes = Array.from({ length: ROUNDS }, () => [newLane(), newLane()]);
      for (const pair of lanes) {
        const outcomes = await Promise.allSettled(
          stores.map(async (store) => {
            await delay(randomInt(8));
            return await createLaneOwnership(store, { owner: createOwnerName() }).claim(pair);
          }),
        );
        for (const [i, one] of pair.entries()) {
          const won = outcomes.flatMap((outcome) =>
            outcome.status === 'fulfilled' ? [outcome.value[i]?.epoch] : [],
          );
          const valid = await validEpochs(one);
          expect(valid).toHaveLength(1);
          expect(won).toContain(valid[0]);
        }
      }
      for (const store of stores) await store.close();
    },
    LONG_MS,
  );

  test('under the condition of a held token goes through while that is in force', async () => {
    const held = await claimOne('one');
    const next = await claimOne('one', { ...lane, heldEpoch: held.epoch });
    expect(await validEpochs(lane)).toEqual([next.epoch]);
  });

  test('under a condition has no standing once somebody else claimed, and leaves that claim alone', async () => {
    const free = newLane();
    const [held, kept] = await claim('one', lane, free);
    const theirs = await claimOne('two');
    const [lost, again] = await claim(
      'one',
      { ...lane, heldEpoch: held?.epoch ?? 0 },
      { ...free, heldEpoch: kept?.epoch ?? 0 },
    );
    expect(lost).toBeUndefined();
    expect(await validEpochs(lane)).toEqual([theirs.epoch]);
    expect(await validEpochs(free)).toEqual([again?.epoch]);
  });

  test('under a condition is not taken for lost when an attempt of it failed half way', async () => {
    const held = await claimOne('one');
    armFailpoints('read_back:throw', { isProduction: false });
    const attempt = claimOne('one', { ...lane, heldEpoch: held.epoch });
    await expect(attempt.finally(() => shareFailpoints(undefined))).rejects.toMatchObject({
      code: 'internal',
    });
    const next = await claimOne('one', { ...lane, heldEpoch: held.epoch });
    expect(await validEpochs(lane)).toEqual([next.epoch]);
  });

  test('of one who holds an older token of the same program is lost', async () => {
    const held = await claimOne('one');
    const newer = await claimOne('one');
    expect(await claim('one', { ...lane, heldEpoch: held.epoch })).toEqual([undefined]);
    expect(await validEpochs(lane)).toEqual([newer.epoch]);
  });

  test(
    'against a conditional one at the same time leaves one standing',
    async () => {
      for (let round = 0; round < ROUNDS; round += 1) {
        lane = newLane();
        const held = await claimOne('one');
        const [, theirs] = await Promise.all([
          claim('one', { ...lane, heldEpoch: held.epoch }),
          delay(randomInt(10)).then(async () => await claimOne('two')),
        ]);
        const valid = await validEpochs(lane);
        // An unconditional claim never gives way; it comes before the other or after it.
        expect(valid).toEqual([theirs.epoch]);
      }
    },
    LONG_MS,
  );

  test('is above the token of a claimer that came and went between its draw and its write', async () => {
    const ahead = Date.now() * 1024 + 3_600_000 * 1024;
    const store = createStore(clickhouse.connection);
    const insertJson = store.insertJson.bind(store);
    let isAhead = false;
    store.insertJson = async (table, rows) => {
      if (table === 'lane_claims' && !isAhead) {
        isAhead = true;
        await insertJson('lane_claims', [{ ...lane, epoch: ahead, owner: 'ahead', held_epoch: 0 }]);
        await insertJson('lane_revocations', [{ ...lane, epoch: ahead, is_revoked: 1 }]);
      }
      await insertJson(table, rows);
    };
    const [standing] = await createLaneOwnership(store, { owner: 'one' }).claim([lane]);
    expect(standing?.epoch).toBeGreaterThan(ahead);
    expect(await validEpochs(lane)).toEqual([standing?.epoch]);
    await store.close();
  });

  test('that is no longer wanted gives back what it drew', async () => {
    const held = await claimOne('one');
    const ownership = createLaneOwnership(clickhouse.store, { owner: 'two' });
    const never = ownership.claim([lane], { isWanted: () => false });
    await expect(never).rejects.toMatchObject({ code: 'lane_closed' });
    expect(await validEpochs(lane)).toEqual([held.epoch]);
    let asked = 0;
    const late = ownership.claim([lane], { isWanted: () => ++asked === 1 });
    await expect(late).rejects.toMatchObject({ code: 'lane_closed' });
    expect(asked).toBe(2);
    expect(await validEpochs(lane)).toEqual([]);
    expect(await ownership.claim([lane], { isWanted: () => true })).toHaveLength(1);
  });

  test('waits for deletions of its own lanes only, and ends one that cannot succeed', async () => {
    const other = newLane();
    await insert(await claimOne('one'), 0, 5);
    const laneCode = (of: LaneKey): number => of.source * 65_536 + of.partition;
    const failing = (of: LaneKey): string =>
      `ALTER TABLE events_1m DELETE WHERE source = 9 AND throwIf(joinGet('millrace.lane_revocations', 'is_revoked',
         source, partition, transform(toUInt32(source) * 65536 + partition, [toUInt32(${laneCode(of)})], [toUInt64(1)], toUInt64(0))) = 0)`;
    const pending = async (): Promise<number> =>
      (
        await clickhouse.store.query<{ n: number }>(
          `SELECT count() AS n FROM system.mutations WHERE NOT is_done AND database = 'millrace'`,
        )
      )[0]?.n ?? -1;
    await clickhouse.store.command(failing(other), {}, { settings: { mutations_sync: 0 } });
    await claimOne('two');
    expect(await pending()).toBe(1);
    await clickhouse.store.command(failing(lane), {}, { settings: { mutations_sync: 0 } });
    const standing = await claimOne('three');
    expect(await validEpochs(lane)).toEqual([standing.epoch]);
    expect(await pending()).toBe(1);
    await claim('three', other);
    expect(await pending()).toBe(0);
  });

  test('is in force after the server was killed, and so are revocations', async () => {
    const revoked = await claimOne('one');
    const standing = await claimOne('two');
    await restart();
    expect(await validEpochs(lane)).toEqual([standing.epoch]);
    await expect(insert(revoked, 0, 10)).rejects.toMatchObject({ code: 'lane_closed' });
    await insert(standing, 0, 10);
  });
});

describe('a standing', () => {
  test('holds exactly what is stored past the ledger, by offset and time', async () => {
    const neighbour = newLane();
    const [token, other] = await claim('one', lane, neighbour);
    const blocks = createBlockStore(clickhouse.store, { owner: 'tester' });
    await insert(token as LaneStanding, 0, 40);
    await insert(token as LaneStanding, 60, 15);
    await insert(other as LaneStanding, 5, 3);
    const letters = await letterBlock(clickhouse.store, lane, [41, 20, 45]);
    await blocks.insertBlocks('dead_letters', [letters], [token as LaneStanding]);
    const counts = { receivedCount: 0, storedCount: 0, alreadyPresentCount: 0, lostUpstreamCount: 0 };
    for (const [fromOffset, toOffset] of [
      [0, 10],
      [10, 30],
    ] as const)
      await blocks.insertLedger([
        { ...(token as LaneStanding), fromOffset, toOffset, ...counts, filtered: {}, deadLettered: {} },
      ]);

    const [first, second] = await claim('two', lane, { ...neighbour, fromOffset: 6 });
    const offsets = [
      ...Array.from({ length: 10 }, (_, i) => 30 + i),
      ...Array.from({ length: 15 }, (_, i) => 60 + i),
    ];
    expect(first?.ledgerOffset).toBe(30);
    expect([...(first?.present.logs.offsets ?? [])]).toEqual(offsets);
    expect([...(first?.present.logs.times ?? [])]).toEqual(offsets.map(recordTime));
    expect([...(first?.present.dead_letters.offsets ?? [])]).toEqual([41, 45]);
    expect([...(first?.present.dead_letters.times ?? [])]).toEqual([41, 45].map(recordTime));
    expect(second).not.toHaveProperty('ledgerOffset');
    expect([...(second?.present.logs.offsets ?? [])]).toEqual([6, 7]);
    expect(second?.present.dead_letters.offsets).toHaveLength(0);

    const whole = await claimOne('three', { ...lane, fromOffset: 0 });
    expect(whole.present.logs.offsets).toHaveLength(55);
  });

  test('goes on where the newest holder came to, also when a partition was cut off, and after a clock set back', async () => {
    const hours = 3_600_000 * 1024;
    const ahead = Date.now() * 1024 + 5 * hours;
    await clickhouse.store.insertJson('lane_claims', [{ ...lane, epoch: ahead, owner: 'ahead' }]);
    const row = { ...lane, received: 1, stored: 1, already_present: 0, filtered: {}, dead_lettered: {} };
    await clickhouse.store.insertJson('ledger', [{ ...row, epoch: ahead, from_offset: 0, to_offset: 500 }]);
    const next = await claimOne('next');
    expect(next.epoch).toBeGreaterThan(ahead);
    expect(next.ledgerOffset).toBe(500);
    await clickhouse.store.insertJson('ledger', [
      { ...row, epoch: next.epoch, from_offset: 300, to_offset: 340 },
      { ...row, epoch: next.epoch, from_offset: 340, to_offset: 400 },
    ]);
    expect((await claimOne('last')).ledgerOffset).toBe(400);
    // Of two holders, each keeps its row, also where they begin at the same offset.
    const after = await claimOne('after');
    await clickhouse.store.insertJson('ledger', [
      { ...row, epoch: after.epoch, from_offset: 300, to_offset: 310 },
    ]);
    for (const isSummed of [false, true]) {
      await clickhouse.store.command('OPTIMIZE TABLE ledger FINAL');
      if (isSummed) await sumUpLedger(clickhouse.store);
      expect((await claimOne('last')).ledgerOffset).toBe(310);
    }
  });

  test('of a long history comes in pieces, cut at an offset', async () => {
    const other = newLane();
    const [token, neighbour] = await claim('one', lane, other);
    // Offset 1000 twice: before the cut and after it lies the whole of an offset.
    await insert(token as LaneStanding, 0, 1001);
    await insert(token as LaneStanding, 1000, 800);
    await insert(neighbour as LaneStanding, 0, 700);
    const letters = await letterBlock(clickhouse.store, lane, [5, 1200]);
    const blocks = createBlockStore(clickhouse.store, { owner: 'tester' });
    await blocks.insertBlocks('dead_letters', [letters], [token as LaneStanding]);
    const ownership = createLaneOwnership(clickhouse.store, { owner: 'two', maxRows: 2000 });
    const [first, second] = await ownership.claim([lane, other]);
    expect(first?.presentTo).toBe(1000);
    expect(first?.present.logs.offsets).toHaveLength(1000);
    expect([...(first?.present.dead_letters.offsets ?? [])]).toEqual([5]);
    expect(second).not.toHaveProperty('presentTo');
    expect(second?.present.logs.offsets).toHaveLength(700);
    const [rest] = await ownership.claim([{ ...lane, fromOffset: 1000, heldEpoch: first?.epoch ?? 0 }]);
    expect(rest).not.toHaveProperty('presentTo');
    expect(rest?.present.logs.offsets).toHaveLength(801);
    expect([...(rest?.present.dead_letters.offsets ?? [])]).toEqual([1200]);
  });

  test('shows nothing under the sabotage skip_read_back', async () => {
    await insert(await claimOne('one'), 0, 5);
    armFailpoints('sabotage:skip_read_back', { isProduction: false });
    const standing = await claimOne('two').finally(() => shareFailpoints(undefined));
    expect(standing.present.logs.offsets).toHaveLength(0);
  });
});

describe('a replacement of stored rows', () => {
  test('fences all lanes and keeps everybody from taking one', async () => {
    const token = await claimOne('one');
    await withMutex(clickhouse.store, { name: REPLACE_MUTEX }, async () => {
      await fenceAllLanes(clickhouse.store, 5000);
      await expect(insert(token, 0, 5)).rejects.toMatchObject({ code: 'lane_closed' });
      const refusal = await claim('two', lane).catch((error: unknown) => error);
      expect(refusal).toMatchObject({ code: 'store_unavailable', isRetryable: true });
      expect(String(refusal)).toContain('replacement');
      expect(await validEpochs(lane)).toEqual([]);
    });
    await insert(await claimOne('two'), 0, 5);
  });
});
