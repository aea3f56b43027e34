/**
 * Exports that take long: of which little comes, that are left, and of more rows than a sort may hold.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { QueryOptions, QueryPort } from '../../src/pipeline/query-port.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type ApiFixture, SERVERS, startApi } from './api-fixture.ts';
import { directRoutes, textOf } from './direct-routes.ts';
import { openRaw } from './http/raw-client.ts';
import { insertLogs, insertSources } from './log-rows.ts';

/** Behind the id, whose text is in the order of time here, in a line of NDJSON. */
const ID_END = '{"id":"00000000-0000-7000-8000-000000000000"'.length;

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  const { store } = clickhouse;
  await insertSources(store);
  await insertLogs(store, [{ timestamp: '2026-03-01T00:00:00Z', service: 'rare', host: 'h', message: 'x' }]);
}, 60_000);

afterAll(async () => {
  await clickhouse.stop();
});

/** Of a hundred thousand rows only the first, which are more than the buffers on the way hold; then a minute none. */
const SLOW_SQL = `SELECT number, randomPrintableASCII(1000) AS message FROM numbers(100000)
  WHERE sleepEachRow(0.0005) = 0 AND number % 100000 < 4000`;

/** A store whose streams of logs are slow. */
function slowStreams(store: QueryPort): QueryPort {
  return {
    query: (sql, params, options) => store.query(sql, params, options),
    select: (sql, params, options) => store.select(sql, params, options),
    insertJson: (table, rows, options) => store.insertJson(table, rows, options),
    async *stream<Row>(sql: string, params?: Readonly<Record<string, unknown>>, options: QueryOptions = {}) {
      if (!sql.includes('ORDER BY toStartOfFiveMinutes')) {
        yield* store.stream<Row>(sql, params, options);
        return;
      }
      const [log] = await store.query<Row>(sql, params);
      const settings = { ...options.settings, max_block_size: 100 };
      for await (const rows of store.stream<object>(SLOW_SQL, {}, { ...options, settings })) {
        yield rows.map((row) => ({ ...log, ...row }) as Row);
      }
    },
  };
}

it('sorts stretch by stretch what is too much for one sort, and counts nothing but the rollups before', async () => {
  const { store } = clickhouse;
  const rowCount = 250_000;
  await store.command(
    `INSERT INTO logs (timestamp, ingested_at, source, partition, offset, retention_days, service, message)
      SELECT toDateTime64('2026-03-02 00:00:00', 6, 'UTC') + toIntervalMicrosecond(number * 7919 % 299999993), now64(6),
        1, 9, number, 3650, 'dense', randomPrintableASCII(100) FROM numbers(${rowCount})`,
  );
  const asked: string[] = [];
  const small = { max_bytes_to_sort: 30_000_000 };
  const routes = directRoutes({
    query: (sql, params, options) => store.query(sql, params, options),
    insertJson: (table, rows, options) => store.insertJson(table, rows, options),
    select: (sql, params, options) => {
      asked.push(sql);
      return store.select(sql, params, options);
    },
    stream: (sql, params, options) =>
      store.stream(sql, params, { ...options, settings: { ...options?.settings, ...small } }),
  });
  for (const order of ['asc', 'desc']) {
    const range = 'service=dense&from=2026-03-02T00:00:00Z&to=2026-03-03T00:00:00Z';
    const answer = await routes.get(`/logs?${range}&order=${order}`, {}, { accept: 'application/x-ndjson' });
    const lines = (await textOf(answer)).trimEnd().split('\n');
    expect(JSON.parse(lines.pop() ?? '')).toEqual({ end: true, rows: rowCount });
    const ids = lines.map((line) => line.slice(0, ID_END));
    expect(new Set(ids).size).toBe(rowCount);
    const sorted = ids.toSorted();
    expect(ids).toEqual(order === 'asc' ? sorted : sorted.toReversed());
  }
  expect(asked).toHaveLength(2);
  for (const sql of asked) expect(sql).toMatch(/FROM events_1[mh]\n/);
}, 120_000);

describe.each(SERVERS)('an export on %s', (kind) => {
  let api: ApiFixture;

  beforeAll(async () => {
    api = await startApi(kind, clickhouse.store, { queryStore: slowStreams(clickhouse.store) });
  });

  afterAll(async () => {
    await api.stop();
  });

  const runningCount = async (): Promise<number> => {
    const sql = `SELECT count() AS count FROM system.processes
      WHERE query LIKE '%randomPrintableASCII%' AND query NOT LIKE '%processes%'`;
    const [row] = await clickhouse.store.query<{ count: number }>(sql);
    return row?.count ?? -1;
  };

  it('ends with its client, also when the next row is far, and gives its place back', async () => {
    const authorization = `Bearer ${await api.token('viewer')}`;
    const connections = await Promise.all(
      ['identity', 'gzip'].map(async (encoding) => {
        const raw = await openRaw(api.port);
        const path = '/logs?service=rare&order=asc';
        raw.send(
          `GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\n` +
            `Accept: text/csv\r\nAccept-Encoding: ${encoding}\r\n\r\n`,
        );
        return raw;
      }),
    );
    for (const raw of connections) {
      await expect.poll(() => raw.text().length, { timeout: 20_000 }).toBeGreaterThan(1_000_000);
    }
    // The rest of what comes soon.
    await new Promise((resolve) => setTimeout(resolve, 6000));
    expect(await runningCount()).toBe(2);
    for (const raw of connections) raw.destroy();
    await expect.poll(runningCount, { timeout: 5000 }).toBe(0);
    await expect.poll(() => api.server.inFlightCount, { timeout: 5000 }).toBe(0);
    const headers = { Accept: 'text/csv', Authorization: authorization };
    const again = await fetch(`${api.base}/logs?service=rare`, { headers });
    expect(again.status).toBe(200);
    await again.body?.cancel();
  }, 60_000);
});
