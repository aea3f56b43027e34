/**
 * What a query of a client may cost, on a real ClickHouse: each limit with its hint, what is charged, and that a
 * query ends with the client that asked for it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Front } from '../../src/api/front.ts';
import { LIVEZ } from '../../src/api/health/health-operations.ts';
import { createHttpServer } from '../../src/api/http/server.ts';
import { RateLimits } from '../../src/api/limits/rate-limits.ts';
import { jsonResponse } from '../../src/api/problem.ts';
import { openAccount, selectLimited, streamUncapped } from '../../src/api/query-limits.ts';
import type { Route } from '../../src/api/route.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { SERVERS } from './api-fixture.ts';
import { openRaw } from './http/raw-client.ts';

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse({ isMigrated: false });
}, 120_000);

afterAll(async () => {
  await clickhouse.stop();
});

function signal(): AbortSignal {
  return new AbortController().signal;
}

describe('a query that costs too much', () => {
  it.each([
    {
      name: 'rows',
      sql: 'SELECT sum(number) FROM numbers(1000000)',
      settings: { max_rows_to_read: 1000 },
      hint: /too many rows.*time range/,
    },
    {
      name: 'time',
      sql: 'SELECT count() FROM numbers(1000) WHERE sleepEachRow(0.01) = 0',
      settings: { max_execution_time: 0.1, max_block_size: 1 },
      hint: /too long.*time range/,
    },
    {
      name: 'memory',
      sql: 'SELECT groupArray(repeat(toString(number), 100)) FROM numbers(100000)',
      settings: { max_memory_usage: 5_000_000 },
      hint: /too much memory.*time range/,
    },
    {
      name: 'bytes of the answer',
      sql: "SELECT repeat('x', 990000 + number) AS text FROM numbers(100)",
      settings: { max_block_size: 10 },
      hint: /too large.*limit.*ndjson/,
    },
    {
      name: 'rows of the answer',
      sql: 'SELECT number FROM numbers(1000)',
      settings: { max_result_rows: 100 },
      hint: /too large.*limit/,
    },
  ])('by its $name is refused with what to narrow', async ({ sql, settings, hint }) => {
    const statement = { sql, params: {}, settings: { ...settings } };
    const result = selectLimited(clickhouse.store, statement, signal());
    await expect(result).rejects.toMatchObject({
      code: 'query_too_costly',
      status: 422,
      message: expect.stringMatching(hint) as string,
      faults: [{ detail: expect.stringMatching(hint) as string, parameter: expect.any(String) as string }],
    });
  });

  it('is a bad request by a regular expression that RE2 refuses', async () => {
    const sql = "SELECT match(toString(number), '((a{100}){100}){0}') FROM numbers(1)";
    await expect(selectLimited(clickhouse.store, { sql, params: {} }, signal())).rejects.toMatchObject({
      status: 400,
      faults: [{ parameter: 'filter' }],
    });
  });

  it('is no such thing when ClickHouse refuses it for another reason', async () => {
    const result = selectLimited(clickhouse.store, { sql: 'SELECT throwIf(1)', params: {} }, signal());
    await expect(result).rejects.not.toMatchObject({ code: 'query_too_costly' });
  });
});

describe('a stream', () => {
  const rowCountOf = async (sql: string, settings = {}) => {
    let rowCount = 0;
    for await (const rows of streamUncapped(clickhouse.store, { sql, params: {}, settings }, signal())) {
      rowCount += rows.length;
    }
    return rowCount;
  };

  it.each([
    ['bytes', { max_bytes_to_sort: 5_000_000 }],
    ['room', { min_free_disk_space_for_temporary_data: 1e15 }],
  ])(
    'sorts only so much on disk, by %s',
    async (_name, limit) => {
      const sql = 'SELECT randomPrintableASCII(100) AS text FROM numbers(200000) ORDER BY text';
      const sorted = {
        max_bytes_before_external_sort: 1_000_000,
        max_bytes_ratio_before_external_sort: 0,
        min_external_sort_block_bytes: 0,
      };
      const hint = /too much disk.*time range/;
      await expect(rowCountOf(sql, { ...sorted, ...limit })).rejects.toMatchObject({
        code: 'query_too_costly',
        status: 422,
        message: expect.stringMatching(hint) as string,
        faults: [{ detail: expect.stringMatching(hint) as string, parameter: 'from' }],
      });
      expect(await rowCountOf(sql, sorted)).toBe(200_000);
      const sent = "toUInt64(getSetting('max_bytes_to_sort'))";
      expect(await rowCountOf(`SELECT 1 WHERE ${sent} BETWEEN 1 AND 2147483648`)).toBe(1);
      expect(
        await rowCountOf(`SELECT 1 WHERE getSetting('min_free_disk_space_for_temporary_data') >= 1073741824`),
      ).toBe(1);
    },
    60_000,
  );
});

describe('what is charged', () => {
  const charging = (): { asked: AbortSignal; charged: number[] } => {
    const asked = signal();
    const charged: number[] = [];
    openAccount(asked, { charge: (rowCount) => charged.push(rowCount) });
    return { asked, charged };
  };
  const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

  it('are the rows that were read, or could have been read in the time', async () => {
    const { store } = clickhouse;
    const { asked, charged } = charging();
    await selectLimited(store, { sql: 'SELECT sum(number) FROM numbers(12345)', params: {} }, asked);
    await selectLimited(store, { sql: 'SELECT 1', params: {} }, signal());
    expect(charged).toEqual([12_345]);
    const settings = { max_rows_to_read: 1 };
    const refused = { sql: 'SELECT number FROM numbers(100000)', params: {}, settings };
    await expect(selectLimited(store, refused, asked)).rejects.toThrow();
    expect(charged.at(-1)).toBeGreaterThan(1000);
  });

  it('is of a stream the time that ClickHouse took, not that of the reader, and all rows at the least', async () => {
    const { store } = clickhouse;
    const { asked, charged } = charging();
    // Half a second for one row of half a million.
    const sql = `SELECT number FROM numbers(500000) WHERE number % 500000 = 499999 AND sleepEachRow(0.5) = 0`;
    for await (const rows of streamUncapped(store, { sql, params: {} }, asked)) expect(rows).toHaveLength(1);
    expect(sum(charged)).toBeGreaterThan(500_000);
    const before = sum(charged);
    let sentCount = 0;
    const many = { sql: 'SELECT number FROM numbers(50000)', params: {} };
    for await (const rows of streamUncapped(store, many, asked)) {
      sentCount += rows.length;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(sum(charged) - before).toBeGreaterThanOrEqual(sentCount);
    expect(sum(charged) - before).toBeLessThan(4_000_000);
  });

  it('is also the time of a stream that is left before a row came', async () => {
    const charged: number[] = [];
    const leaving = new AbortController();
    openAccount(leaving.signal, { charge: (rowCount) => charged.push(rowCount) });
    const settings = { max_block_size: 10 };
    const sql = 'SELECT number FROM numbers(10000) WHERE sleepEachRow(0.01) = 1';
    const stream = streamUncapped(clickhouse.store, { sql, params: {}, settings }, leaving.signal);
    setTimeout(() => leaving.abort(), 300);
    await expect(stream.next()).rejects.toThrow();
    expect(sum(charged)).toBeGreaterThan(1_000_000);
  });
});

describe('queries of one user', () => {
  it('run four at a time, and those of another do not wait for them', async () => {
    const settings = { max_block_size: 1, log_comment: 'slots' };
    const slow = 'SELECT count() FROM numbers(600) WHERE sleepEachRow(0.05) = 0';
    const route = (path: string, sql: string): Route => ({
      method: 'GET',
      path,
      access: 'read',
      operation: LIVEZ,
      handle: async ({ request }) =>
        jsonResponse(await selectLimited(clickhouse.store, { sql, params: {}, settings }, request.signal)),
    });
    const front = new Front([route('/slow', slow), route('/quick', 'SELECT 1')], {
      authenticate: async ({ headers }) => {
        const username = headers.get('authorization') ?? '';
        return { username, role: 'viewer', sessionId: 's', scope: {} };
      },
      telemetry: clickhouse.telemetry,
      hasTls: false,
    });
    const leaving = new AbortController();
    const ask = (path: string, username: string) =>
      front.handle({
        method: 'GET',
        path,
        query: '',
        headers: new Map([['authorization', username]]),
        remoteAddress: '127.0.0.1',
        signal: leaving.signal,
        readBody: () => Promise.reject(new Error('no body')),
      });
    const running = async () => {
      const sql = "SELECT count() AS count FROM system.processes WHERE Settings['log_comment'] = 'slots'";
      return (await clickhouse.store.query<{ count: number }>(sql))[0]?.count;
    };
    const slowAnswers = Array.from({ length: 16 }, () => ask('/slow', 'ann'));
    await expect.poll(running, { timeout: 5000 }).toBe(4);
    expect((await ask('/quick', 'bob')).status).toBe(200);
    expect(await running()).toBe(4);
    const late = await ask('/quick', 'ann');
    expect([late.status, late.headers['Retry-After']]).toEqual([429, '4']);
    leaving.abort();
    await Promise.all(slowAnswers);
    await expect.poll(running, { timeout: 5000 }).toBe(0);
  }, 60_000);
});

describe.each(SERVERS)('behind %s', (kind) => {
  it('a query ends with its client, and its user is charged', async () => {
    const name = `front-${kind}`;
    // A row every 50 ms for a minute.
    const sql = `SELECT count() AS ${kind}_count FROM numbers(1200) WHERE sleepEachRow(0.05) = 0`;
    const settings = { max_block_size: 1, max_execution_time: 60, log_comment: name };
    const routes: Route[] = [
      {
        method: 'GET',
        path: '/slow',
        access: 'read',
        operation: LIVEZ,
        handle: async ({ request }) =>
          jsonResponse(await selectLimited(clickhouse.store, { sql, params: {}, settings }, request.signal)),
      },
      {
        method: 'GET',
        path: '/quick',
        access: 'read',
        operation: LIVEZ,
        handle: async ({ request }) => {
          const statement = { sql: 'SELECT sum(number) FROM numbers(1000)', params: {} };
          return jsonResponse(await selectLimited(clickhouse.store, statement, request.signal));
        },
      },
    ];
    const quotas = {
      requestsPerMinute: 0,
      rowsPerMinute: 6_000_000_000,
      ingestBytesPerMinute: 0,
      anonymousPerMinute: 0,
      streamsPerUser: 0,
    };
    const front = new Front(routes, {
      authenticate: async () => ({ username: 'ann', role: 'viewer', sessionId: 's', scope: {} }),
      telemetry: clickhouse.telemetry,
      hasTls: false,
      limits: new RateLimits(quotas, () => 0),
    });
    const handlers = { handler: front.handle.bind(front), failure: front.failure.bind(front) };
    const options = { host: '127.0.0.1', port: 0, requestDeadlineMs: 50_000, ...handlers };
    const server = createHttpServer(kind, options, clickhouse.telemetry);
    const port = await server.listen();
    const runningCount = async () => {
      const running =
        "SELECT count() AS count FROM system.processes WHERE Settings['log_comment'] = {name:String}";
      const [row] = await clickhouse.store.query<{ count: number }>(running, { name });
      return row?.count ?? -1;
    };

    const quick = await fetch(`http://127.0.0.1:${port}/quick`);
    expect(quick.headers.get('ratelimit')).toMatch(/^"rows";r=(59999989\d\d|5999999000);t=1$/);
    const raw = await openRaw(port);
    raw.send('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    await expect.poll(runningCount, { timeout: 10_000 }).toBe(1);
    raw.destroy();
    await expect.poll(runningCount, { timeout: 10_000 }).toBe(0);
    await expect.poll(() => server.inFlightCount).toBe(0);
    const after = await fetch(`http://127.0.0.1:${port}/quick`);
    // A query that was given up is charged by its time.
    expect(Number(/r=(\d+)/.exec(after.headers.get('ratelimit') ?? '')?.[1])).toBeLessThan(5_999_998_000);
    await server.stop(1000);
  }, 60_000);
});
