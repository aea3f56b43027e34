import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DEAD_LETTER_COLUMNS, LOG_COLUMNS } from '../../src/event/columns.ts';
import { encodeEventId } from '../../src/event/event-id.ts';
import type { Store } from '../../src/store/clickhouse-client.ts';
import { applyTableSettings } from '../../src/store/table-settings.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';

let clickhouse: TestClickHouse;
let store: Store;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  store = clickhouse.store;
});

afterAll(async () => {
  await clickhouse.stop();
});

describe('the schema', () => {
  test.each([
    ['logs', LOG_COLUMNS],
    ['dead_letters', DEAD_LETTER_COLUMNS],
  ])('of %s has the columns that blocks carry, in their order', async (table, columns) => {
    const rows = await store.query(
      `SELECT name, type FROM system.columns
       WHERE database = currentDatabase() AND table = {table:String} AND default_kind = '' ORDER BY position`,
      { table },
    );
    expect(rows).toEqual(columns);
  });

  test('computes the id as src/event/event-id.ts does', async () => {
    const edges = {
      timestampUs: [0, 1, 999, 1000, 1_767_323_045_678_901, 4_102_444_799_999_999],
      offset: [0, 255, 2 ** 40 - 1],
    };
    const events = edges.timestampUs.flatMap((timestampUs, index) =>
      edges.offset.map((offset) => ({
        timestampUs,
        source: (index * 51) % 256,
        partition: index * 3276,
        offset,
      })),
    );
    for (let n = 0; n < 500; n += 1) {
      const timestampUs = 1_700_000_000_000_000 + n * 1_234_567_891;
      events.push({ timestampUs, source: n % 256, partition: (n * 37) % 16_384, offset: n * 1_000_003 });
    }
    const rows = events.map(({ timestampUs, ...lane }) => ({
      timestamp: isoTime(timestampUs),
      ingested_at: isoTime(4e15),
      retention_days: 30,
      ...lane,
    }));
    const settings = { max_partitions_per_insert_block: 1000 };
    await store.insertJson('logs', rows, { settings });
    const stored = await store.query<{ id: string; us: number; lane: [number, number, number] }>(
      `SELECT toString(id) AS id, toUnixTimestamp64Micro(timestamp) AS us, [source, partition, offset] AS lane FROM logs`,
    );
    expect(stored.length).toBe(events.length);
    for (const { id, us, lane } of stored) {
      const [source, partition, offset] = lane;
      expect(id).toBe(encodeEventId({ timestampUs: us, source, partition, offset }));
    }
    await store.command('TRUNCATE TABLE logs');
  });

  test('prunes a time range and a lane to few granules', async () => {
    await insertEvents(400_000, 100_000);
    const granules = async (condition: string): Promise<[number, number]> => {
      const rows = await store.query<{ explain: string }>(
        `EXPLAIN indexes = 1 SELECT message FROM logs WHERE ${condition}`,
      );
      const read = rows
        .map(({ explain }) => /Granules: (\d+)\/(\d+)/.exec(explain))
        .filter((match) => match !== null);
      return [Number(read.at(-1)?.[1]), Number(read[0]?.[2])];
    };
    const [readByTime, total] = await granules(
      `timestamp >= '2026-01-01 00:30:00' AND timestamp < '2026-01-01 00:31:00'`,
    );
    expect(total).toBeGreaterThan(40);
    expect(readByTime).toBeLessThan(total / 5);
    const [readByOffset] = await granules('source = 1 AND partition = 2 AND offset >= 399990');
    expect(readByOffset).toBeLessThan(total / 5);
  });

  test('switches fsync on and off for every table', async () => {
    const count = async (): Promise<unknown> =>
      (
        await store.query<{ c: number }>(
          `SELECT count() AS c FROM system.tables WHERE database = currentDatabase()
           AND engine_full LIKE '%fsync_after_insert = 1%' AND engine_full LIKE '%fsync_part_directory = 1%'`,
        )
      )[0]?.c;
    await applyTableSettings(store, { isFsync: true });
    const [tables] = await store.query<{ c: number }>(
      `SELECT count() AS c FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'`,
    );
    expect(tables?.c).toBeGreaterThan(10);
    expect(await count()).toBe(tables?.c);
    // As a command or `api` opens the database: what the program that stores has set stays.
    await applyTableSettings(store, {});
    expect(await count()).toBe(tables?.c);
    await applyTableSettings(store, { isFsync: false });
    expect(await count()).toBe(0);
    const [logs] = await store.query<{ engine: string }>(
      `SELECT engine_full AS engine FROM system.tables WHERE database = currentDatabase() AND name = 'logs'`,
    );
    expect(logs?.engine).toContain('packed_skip_index_max_bytes = 1048576');
  });
});

function isoTime(us: number): string {
  const ms = Math.floor(us / 1000);
  return new Date(ms).toISOString().replace('Z', `${String(us - ms * 1000).padStart(3, '0')}Z`);
}

/** Events over two hours, three lanes, five hosts; every fourth has metrics. In inserts of `batch` rows. */
async function insertEvents(rows: number, batch: number): Promise<void> {
  for (let from = 0; from < rows; from += batch) {
    await store.command(
      `INSERT INTO logs (timestamp, ingested_at, source, partition, offset, retention_days, host, service, environment,
         level, message, cpu_usage, memory_percentage, memory_used, network_rx_bytes, network_tx_bytes)
       SELECT toDateTime64('2026-01-01 00:00:00', 6, 'UTC') + toIntervalMicrosecond((cityHash64(n) % 7200000000)),
         now64(6), 1, n % 3, n, 30, concat('host-', toString(cityHash64(n, 1) % 5)),
         concat('service-', toString(cityHash64(n, 2) % 3)), if(n % 2 = 0, 'prod', 'test'),
         ['INFO', 'ERROR'][1 + n % 2], concat('message ', toString(n)),
         if(n % 4 = 0, cityHash64(n, 3) % 10000 / 100, NULL), if(n % 8 = 0, cityHash64(n, 4) % 10000 / 100, NULL),
         if(n % 4 = 0, cityHash64(n, 5) % 1000000000000, NULL),
         if(n % 4 = 0, n * 1000, NULL), if(n % 8 = 0, n * 500, NULL)
       FROM (SELECT number + {from:UInt64} AS n FROM numbers({batch:UInt64}))`,
      { from, batch },
      { settings: { max_insert_block_size: batch } },
    );
  }
}

const QUANTILES = 'quantilesDD(0.01, 0.5, 0.95, 0.99)';

/** A rollup merged to its keys, in text: `expected` from the events, the other from the table. */
function eventCounts(bucket: string): [expected: string, actual: (table: string) => string] {
  const keys = 'bucket, environment, service, host, level, source, partition';
  return [
    `SELECT ${bucket}(timestamp) AS bucket, environment, service, host, level, source, partition, count() AS c,
       max(stored_at) AS arrival FROM logs GROUP BY ${keys} ORDER BY ${keys}`,
    (table) =>
      `SELECT ${keys}, sum(event_count) AS c, max(last_arrival) AS arrival FROM ${table} GROUP BY ${keys} ORDER BY ${keys}`,
  ];
}

function hostMetrics(bucket: string): [expected: string, actual: (table: string) => string] {
  const keys = 'bucket, environment, service, host, source, partition';
  const metrics = [
    ['cpu', 'cpu_usage'],
    ['memory', 'memory_percentage'],
    ['used', 'memory_used'],
  ];
  const counters = ['rx', 'tx'];
  const fromEvents = metrics.map(
    ([, c]) => `count(${c}), round(ifNull(sum(${c}), 0), 3), min(${c}), max(${c}), ${QUANTILES}(${c})`,
  );
  const fromRollup = metrics.map(
    ([p]) => `sum(${p}_count), round(sum(${p}_sum), 3), min(${p}_min), max(${p}_max),
      quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(${p}_quantiles)`,
  );
  const firstAndLast = (n: string): string => {
    const sample = `(timestamp, offset, assumeNotNull(network_${n}_bytes))`;
    const isThere = `network_${n}_bytes IS NOT NULL`;
    return `count(network_${n}_bytes) AS ${n}, if(${n} = 0, NULL, toString(minIf(${sample}, ${isThere}))),
      if(${n} = 0, NULL, toString(maxIf(${sample}, ${isThere})))`;
  };
  const merged = (n: string): string =>
    `sum(${n}_count) AS ${n}, if(${n} = 0, NULL, toString(min(${n}_first))), if(${n} = 0, NULL, toString(max(${n}_last)))`;
  return [
    `SELECT ${bucket}(timestamp) AS bucket, environment, service, host, source, partition, ${fromEvents.join(', ')},
       ${counters.map(firstAndLast).join(', ')} FROM logs WHERE cpu_usage IS NOT NULL GROUP BY ${keys} ORDER BY ${keys}`,
    (table) =>
      `SELECT ${keys}, ${fromRollup.join(', ')}, ${counters.map(merged).join(', ')} FROM ${table} GROUP BY ${keys} ORDER BY ${keys}`,
  ];
}

describe('the rollups', () => {
  const tables = ['events_1m', 'events_1h', 'host_metrics_1m', 'host_metrics_1h'];

  async function dump(sql: string): Promise<readonly unknown[]> {
    return (await store.selectArrays(sql)).rows;
  }

  test.each([
    ['events_1m', eventCounts('toStartOfMinute')],
    ['events_1h', eventCounts('toStartOfHour')],
    ['host_metrics_1m', hostMetrics('toStartOfMinute')],
    ['host_metrics_1h', hostMetrics('toStartOfHour')],
  ] as const)(
    '%s equals a recomputation from the events, before and after merging',
    async (table, [expected, actual]) => {
      for (const name of ['logs', ...tables]) await store.command(`TRUNCATE TABLE ${name}`);
      await insertEvents(20_000, 4000);
      const wanted = await dump(expected);
      expect(wanted.length).toBeGreaterThan(20);
      expect(await dump(actual(table))).toEqual(wanted);
      await store.command(`OPTIMIZE TABLE ${table} FINAL`);
      expect(await dump(actual(table))).toEqual(wanted);
      expect(await store.query(`SELECT count() AS c FROM ${table}`)).toEqual([{ c: wanted.length }]);
    },
  );

  test('do not depend on how the events were cut into inserts', async () => {
    const dumps: unknown[] = [];
    for (const batch of [1000, 5000]) {
      for (const name of ['logs', ...tables]) await store.command(`TRUNCATE TABLE ${name}`);
      await insertEvents(5000, batch);
      const [, counts] = eventCounts('');
      const [, metrics] = hostMetrics('');
      const rows = [await dump(counts('events_1h')), await dump(metrics('host_metrics_1h'))];
      dumps.push(
        JSON.parse(JSON.stringify(rows).replaceAll(/"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"/g, '"a time"')),
      );
    }
    expect(dumps[0]).toEqual(dumps[1]);
  });

  test('of one lane can be computed again: minutes, then the hours they touch', async () => {
    for (const name of ['logs', ...tables]) await store.command(`TRUNCATE TABLE ${name}`);
    await insertEvents(5000, 5000);
    const [, counts] = eventCounts('');
    const [before, beforeHours] = [await dump(counts('events_1m')), await dump(counts('events_1h'))];
    const lane = 'source = 1 AND partition = 2';
    const hour = `bucket = '2026-01-01 01:00:00'`;
    const minutes = `bucket >= '2026-01-01 01:10:00' AND bucket < '2026-01-01 01:20:00'`;
    await store.command(`DELETE FROM events_1m WHERE ${lane} AND ${minutes}`);
    await store.command(`INSERT INTO events_1m SELECT toStartOfMinute(timestamp) AS bucket, environment, service, host,
      level, source, partition, count(), max(stored_at) FROM logs WHERE ${lane} AND ${minutes}
      GROUP BY bucket, environment, service, host, level, source, partition`);
    // The insert fed the hour a second time: the hour is wiped and summed up from all of its minutes.
    await store.command(`DELETE FROM events_1h WHERE ${lane} AND ${hour}`);
    await store.command(`INSERT INTO events_1h SELECT toStartOfHour(bucket) AS hour, environment, service, host, level,
      source, partition, sum(event_count), max(last_arrival) FROM events_1m WHERE ${lane} AND toStartOfHour(bucket) = '2026-01-01 01:00:00'
      GROUP BY hour, environment, service, host, level, source, partition`);
    expect(await dump(counts('events_1m'))).toEqual(before);
    expect(await dump(counts('events_1h'))).toEqual(beforeHours);
  });
});
