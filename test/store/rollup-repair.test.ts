import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { armFailpoints, shareFailpoints } from '../../src/failpoints.ts';
import type { LaneToken } from '../../src/pipeline/ports.ts';
import { createBlockStore } from '../../src/store/block-store.ts';
import { createOwnerName } from '../../src/store/lane-claims.ts';
import { createLaneOwnership } from '../../src/store/lane-ownership.ts';
import type { Telemetry } from '../../src/telemetry.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { laneBlock } from '../support/lanes.ts';

/** Rollups after a take-over: those of the touched minutes and hours equal what the views' statements give from `logs`. */

const ROLLUPS = ['events_1m', 'events_1h', 'host_metrics_1m', 'host_metrics_1h'];
const OWNER = createOwnerName();
const LANE = { source: 7, partition: 300 };
const OTHER = { source: 7, partition: 301 };
/** Rows of a lane over four minutes and two hours. */
const ROWS = { fromOffset: 0, count: 200, at: '2026-03-01T10:58:00Z' };

let clickhouse: TestClickHouse;
let others: unknown;
/** Fields of each `rollups_left`. */
const left: unknown[] = [];
const telemetry: Telemetry = {
  emit: (event, fields) => {
    if (event === 'rollups_left') left.push(fields);
  },
};

beforeAll(async () => {
  clickhouse = await startClickHouse();
});

beforeEach(async () => {
  for (const table of ['logs', ...ROLLUPS]) await clickhouse.store.command(`TRUNCATE TABLE ${table}`);
  await insert(OTHER);
  await insert(LANE);
  others = await content(OTHER);
  left.length = 0;
});

afterAll(async () => {
  await clickhouse.stop();
});

async function insert(lane: { source: number; partition: number }): Promise<void> {
  const [token] = await take(createOwnerName(), lane);
  const blocks = createBlockStore(clickhouse.store, { owner: OWNER });
  await blocks.insertBlocks(
    'logs',
    [await laneBlock(clickhouse.store, { ...ROWS, ...lane })],
    [token as LaneToken],
  );
}

async function take(
  owner: string,
  ...lanes: { source: number; partition: number }[]
): Promise<readonly unknown[]> {
  return await createLaneOwnership(clickhouse.store, { owner, telemetry }).claim(lanes);
}

async function columnsOf(table: string): Promise<string> {
  const columns = await clickhouse.store.query<{ name: string; type: string }>(
    'SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String}',
    { table },
  );
  return columns
    .map(({ name, type }) =>
      type.startsWith('Aggregate') ? `finalizeAggregation(${name}) AS ${name}` : name,
    )
    .join(', ');
}

/** All rollups of a lane: as stored, and as their views compute them from the events alone. */
async function content(
  { source, partition }: { source: number; partition: number },
  from = (t: string) => `${t} FINAL`,
) {
  const where = `WHERE source = ${source} AND partition = ${partition} ORDER BY ALL`;
  const all: Record<string, unknown> = {};
  for (const table of ROLLUPS)
    all[table] = await clickhouse.store.query(
      `SELECT * FROM (SELECT ${await columnsOf(table)} FROM ${from(table)}) ${where}`,
    );
  return all;
}

async function recomputed(lane: { source: number; partition: number }) {
  const { store } = clickhouse;
  const views = await store.query<{ name: string; select: string }>(
    "SELECT name, as_select AS select FROM system.tables WHERE database = currentDatabase() AND name LIKE '%_view'",
  );
  const statement = (table: string): string => {
    const minutes = table.replace('_1h', '_1m');
    const select = views.find(({ name }) => name === `${minutes}_view`)?.select ?? '';
    if (minutes === table) return `(${select})`;
    const hours = views.find(({ name }) => name === `${table}_view`)?.select ?? '';
    return `(${hours.replace(`millrace.${minutes}`, `(${select})`)})`;
  };
  return await content(lane, statement);
}

async function countMutations(): Promise<number> {
  const [row] = await clickhouse.store.query<{ n: number }>(
    'SELECT count() AS n FROM system.mutations WHERE database = currentDatabase()',
  );
  return row?.n ?? -1;
}

async function expectRepaired(): Promise<void> {
  const stored = await content(LANE);
  expect(stored['events_1m']).not.toEqual([]);
  expect(stored).toEqual(await recomputed(LANE));
  expect(await content(OTHER)).toEqual(others);
}

const DAMAGE = {
  'no minutes, as if the views had not been fed': ROLLUPS.map(
    (table) => `ALTER TABLE ${table} DELETE WHERE partition = 300`,
  ),
  'no hours': ['events_1h', 'host_metrics_1h'].map(
    (table) => `ALTER TABLE ${table} DELETE WHERE partition = 300`,
  ),
  'a minute missing': ['ALTER TABLE host_metrics_1m DELETE WHERE partition = 300 AND toMinute(bucket) = 59'],
  'rows counted twice': ['INSERT INTO events_1m SELECT * FROM events_1m WHERE partition = 300'],
  'counts of rows that were never stored': [
    "INSERT INTO events_1m SELECT bucket, environment, 'ghost', host, level, source, partition, 5, now() FROM events_1m WHERE partition = 300",
  ],
};

describe('taking a lane over makes its rollups right that have', () => {
  test.each(Object.entries(DAMAGE))('%s', async (_name, statements) => {
    for (const statement of statements)
      await clickhouse.store.command(statement, {}, { settings: { mutations_sync: 1 } });
    expect(await content(LANE)).not.toEqual(await recomputed(LANE));
    await take(createOwnerName(), LANE);
    await expectRepaired();
  });
});

test('rollups that are right are left alone', async () => {
  const before = await countMutations();
  await take(createOwnerName(), LANE, OTHER);
  expect(await countMutations()).toBe(before);
  await expectRepaired();
});

test('a repair that died between deletion and insert is made up for by the next', async () => {
  for (const hit of [1, 2, 3, 4]) {
    armFailpoints(`recompute:throw@${hit}`, { isProduction: false });
    try {
      await expect(take(createOwnerName(), LANE)).rejects.toMatchObject({ code: 'internal' });
    } finally {
      shareFailpoints(undefined);
    }
    expect(await content(LANE)).not.toEqual(await recomputed(LANE));
    await take(createOwnerName(), LANE);
    await expectRepaired();
  }
});

test('sabotage skip_recomputation leaves them wrong', async () => {
  await clickhouse.store.command('TRUNCATE TABLE events_1m');
  armFailpoints('sabotage:skip_recomputation', { isProduction: false });
  try {
    await take(createOwnerName(), LANE);
  } finally {
    shareFailpoints(undefined);
  }
  expect((await content(LANE))['events_1m']).toEqual([]);
});

describe('where the rows that a bucket was made of may have expired, it is left alone:', () => {
  /** A lane that was first claimed long ago, and what has expired of it. */
  async function age(...expired: string[]): Promise<void> {
    const { store } = clickhouse;
    const settings = { settings: { mutations_sync: 1 } };
    await store.command(
      `ALTER TABLE lane_claims UPDATE claimed_at = claimed_at - INTERVAL 900 DAY WHERE partition = 300`,
      {},
      settings,
    );
    for (const table of expired)
      await store.command(`ALTER TABLE ${table} DELETE WHERE partition = 300`, {}, settings);
  }

  async function countIn(table: string): Promise<number> {
    const [row] = await clickhouse.store.query<{ n: number }>(
      `SELECT sum(event_count) AS n FROM ${table} WHERE partition = 300`,
    );
    return row?.n ?? -1;
  }

  /** Rows past those that have expired, at the same time; without their counts, as after an insert that was cut off. */
  async function insertLate(at: string): Promise<void> {
    const [token] = await take(createOwnerName(), LANE);
    const late = await laneBlock(clickhouse.store, { ...LANE, fromOffset: 1000, count: 1, at });
    await createBlockStore(clickhouse.store, { owner: OWNER }).insertBlocks(
      'logs',
      [late],
      [token as LaneToken],
    );
  }

  test('an hour, once its minutes have', async () => {
    await age('logs', 'events_1m', 'host_metrics_1m');
    await insertLate(ROWS.at);
    expect(await countIn('events_1h')).toBe(201);
    await take(createOwnerName(), LANE);
    expect(await countIn('events_1h')).toBe(201);
    expect(left).toEqual([{ minutes: 0, hours: expect.any(Number) }]);
    expect(await content(OTHER)).toEqual(others);
  });

  test('a minute and its hour, once the logs have', async () => {
    await age('logs');
    await insertLate(ROWS.at);
    await take(createOwnerName(), LANE);
    expect([await countIn('events_1m'), await countIn('events_1h')]).toEqual([201, 201]);
    expect(left).toEqual([{ minutes: expect.any(Number), hours: 0 }]);
  });

  test('but not buckets of these days, however old the lane is', async () => {
    await age();
    const now = new Date().toISOString();
    await insertLate(now);
    await clickhouse.store.command(
      'ALTER TABLE events_1m DELETE WHERE partition = 300 AND bucket > now() - INTERVAL 1 DAY',
      {},
      { settings: { mutations_sync: 1 } },
    );
    await take(createOwnerName(), LANE);
    expect(await content(LANE)).toEqual(await recomputed(LANE));
  });
});
