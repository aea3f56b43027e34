/** Lanes of direct sources whose start was killed: their ledger and rollups are brought to their end. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { LaneKey, LaneStanding, LedgerEntry } from '../../src/pipeline/ports.ts';
import { createBlockStore } from '../../src/store/block-store.ts';
import type { Store } from '../../src/store/clickhouse-client.ts';
import { createLaneOwnership } from '../../src/store/lane-ownership.ts';
import { readLedgerEnds } from '../../src/store/ledger-sums.ts';
import { type SettleOptions, settleDeadLanes } from '../../src/store/settle-lanes.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { laneBlock, letterBlock } from '../support/lanes.ts';

const SOURCE = 9;
const MUTATION = { settings: { mutations_sync: 2 } };
let clickhouse: TestClickHouse;
let store: Store;
let partition = 0;
let dead: LaneStanding;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  store = clickhouse.store;
  await store.insertJson('sources', [
    { number: SOURCE, kind: 'http', cluster: '', topic: '', generation: 0 },
    { number: 3, kind: 'kafka', cluster: 'c', topic: 't', generation: 0 },
  ]);
});
afterAll(() => clickhouse.stop());
beforeEach(async () => {
  partition += 1;
  dead = await claim('dead', { source: SOURCE, partition });
});

async function claim(owner: string, lane: LaneKey): Promise<LaneStanding> {
  const [standing] = await createLaneOwnership(store, { owner }).claim([lane]);
  return standing!;
}

async function insert(fromOffset: number, count: number): Promise<void> {
  const rows = await laneBlock(store, { ...dead, fromOffset, count });
  await createBlockStore(store, { owner: 'dead' }).insertBlocks('logs', [rows], [dead]);
}

async function insertLedger(fromOffset: number, toOffset: number): Promise<void> {
  const count = toOffset - fromOffset;
  const nothing = { alreadyPresentCount: 0, lostUpstreamCount: 0, filtered: {}, deadLettered: {} };
  const entry: LedgerEntry = {
    ...dead,
    ...nothing,
    fromOffset,
    toOffset,
    receivedCount: count,
    storedCount: count,
  };
  await createBlockStore(store, { owner: 'dead' }).insertLedger([entry]);
}

async function reserve(key: string, state: string, range: readonly [number, number]): Promise<void> {
  const [from_offset, to_offset] = range;
  await store.insertJson('idempotency', [{ key, state, source: SOURCE, partition, from_offset, to_offset }]);
}

async function settle(options: Partial<SettleOptions> = {}): Promise<number> {
  return await settleDeadLanes({
    store,
    ownership: createLaneOwnership(store, { owner: 'next' }),
    blocks: createBlockStore(store, { owner: 'next' }),
    isOpen: () => false,
    openTokens: () => [],
    isShared: false,
    ...options,
  });
}

async function ledger() {
  return await store.query(
    `SELECT from_offset AS from, to_offset AS to, received, stored, arraySum(mapValues(dead_lettered)) AS dead
     FROM ledger FINAL WHERE source = ${SOURCE} AND partition = ${partition} ORDER BY from, to`,
  );
}

async function end(): Promise<number | undefined> {
  return (await readLedgerEnds(store, [dead]))[0]?.end;
}

test('what was stored past the ledger gets its row, its letters too, and its rollups', async () => {
  await insert(0, 10);
  await insertLedger(0, 10);
  await insert(10, 5);
  const letters = await letterBlock(store, dead, [15, 16]);
  await createBlockStore(store, { owner: 'dead' }).insertBlocks('dead_letters', [letters], [dead]);
  // As if the server had been killed between the parts.
  for (const table of ['events_1m', 'host_metrics_1h']) {
    await store.command(
      `ALTER TABLE ${table} DELETE WHERE partition = ${partition}`,
      {},
      { settings: { mutations_sync: 2 } },
    );
  }
  expect(await settle({ isOpen: () => true })).toBe(0);
  expect(await settle()).toBeGreaterThan(0);
  expect(await ledger()).toEqual([
    { from: 0, to: 10, received: 10, stored: 10, dead: 0 },
    { from: 10, to: 17, received: 7, stored: 5, dead: 2 },
  ]);
  expect(await end()).toBe(17);
  for (const rollup of [
    'event_count) FROM events_1m',
    'event_count) FROM events_1h',
    'cpu_count) FROM host_metrics_1h',
  ]) {
    const where = `WHERE source = ${SOURCE} AND partition = ${partition}`;
    expect(await store.query(`SELECT sum(${rollup.replace(')', ') AS counted')} ${where}`)).toEqual([
      { counted: 15 },
    ]);
  }
  // The dead start's token is gone, and there is nothing more to do.
  await expect(insert(17, 1)).rejects.toMatchObject({ code: 'lane_closed' });
  expect(await settle()).toBe(0);
});

test('a lane without any ledger, and one without any row', async () => {
  await insert(0, 3);
  const empty = await claim('dead', { source: SOURCE, partition: 5000 });
  expect(await settle()).toBe(2);
  expect(await ledger()).toEqual([{ from: 0, to: 3, received: 3, stored: 3, dead: 0 }]);
  expect(await settle()).toBe(0);
  await claim('dead', empty);
  expect(await settle()).toBe(1);
});

test('keyed bodies that were never answered are left to who sends them again, and looked at again', async () => {
  await insert(0, 30);
  await insertLedger(0, 5);
  await reserve('open', 'reserved', [10, 20]);
  await reserve('done', 'reserved', [20, 25]);
  await reserve('done', 'done', [0, 0]);
  await reserve('withdrawn', 'reserved', [25, 30]);
  await reserve('withdrawn', 'withdrawn', [25, 30]);
  expect(await settle()).toBe(1);
  const outside = [
    { from: 0, to: 5, received: 5, stored: 5, dead: 0 },
    { from: 5, to: 10, received: 5, stored: 5, dead: 0 },
    { from: 20, to: 30, received: 10, stored: 10, dead: 0 },
  ];
  expect(await ledger()).toEqual(outside);
  // Its body came again, with a claim newer than all: the ledger's end went back.
  dead = await claim('adopter', dead);
  await insertLedger(10, 20);
  await reserve('open', 'done', [0, 0]);
  expect(await end()).toBe(20);
  expect(await settle()).toBe(1);
  expect(await end()).toBe(30);
  expect(await settle()).toBe(0);
});

test('at a shared ClickHouse a lane is left alone until its rows are minutes without a ledger', async () => {
  const shared = { isShared: true };
  expect(await settle(shared)).toBe(0);
  await insert(0, 4);
  expect(await settle(shared)).toBe(0);
  await insert(4, 1);
  const { partition: at } = dead;
  await store.command(
    `ALTER TABLE logs UPDATE stored_at = now() - 400 WHERE partition = ${at} AND offset = 0`,
    {},
    { settings: { mutations_sync: 2 } },
  );
  expect(await settle(shared)).toBe(1);
  expect(await end()).toBe(5);
});

/** As if all of it had been done so many hours ago. */
async function turnBack(table: string, column: string, hours: number): Promise<void> {
  await store.command(
    `ALTER TABLE ${table} UPDATE ${column} = ${column} - INTERVAL ${hours} HOUR WHERE partition = ${dead.partition}`,
    {},
    MUTATION,
  );
}

test('at a shared ClickHouse a lane of a start that lives is left alone, however long ago it was claimed', async () => {
  const shared = { isShared: true };
  await settle();
  dead = await claim('alive', dead);
  await insert(0, 4);
  await insertLedger(0, 4);
  await turnBack('lane_claims', 'claimed_at', 25);
  expect(await settle(shared)).toBe(0);
  // Without a row for a day, its owner shows that it lives.
  await store.command(`ALTER TABLE ledger DELETE WHERE partition = ${dead.partition}`, {}, MUTATION);
  await store.command(`ALTER TABLE logs DELETE WHERE partition = ${dead.partition}`, {}, MUTATION);
  expect(await settle({ ...shared, isOpen: () => true, openTokens: () => [dead] })).toBe(0);
  expect(await settle(shared)).toBe(0);
  await insert(4, 1);
  // Who does not is taken for dead.
  await turnBack('lane_claims', 'claimed_at', 25);
  expect(await settle(shared)).toBe(1);
  await expect(insert(5, 1)).rejects.toMatchObject({ code: 'lane_closed' });
  // A lane that was taken is not held up by its former owner.
  await settle({ ...shared, isOpen: () => true, openTokens: () => [dead] });
  const claims = 'SELECT count() AS n FROM lane_claims WHERE epoch = {epoch:UInt64}';
  expect(await store.query(claims, { epoch: dead.epoch })).toEqual([{ n: 2 }]);
});

test('lanes of Kafka are none of it', async () => {
  await claim('dead', { source: 3, partition: 1 });
  expect(await settle()).toBe(1);
  expect(await store.query('SELECT source FROM settled_lanes WHERE source = 3')).toEqual([]);
});
