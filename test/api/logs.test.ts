/**
 * `GET /logs` and `GET /logs/:id` on a real ClickHouse, through both servers.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type ApiFixture, SERVERS, startApi } from './api-fixture.ts';
import { insertLogs, insertSources } from './log-rows.ts';

const FULL_ROW = {
  timestamp: '2026-01-02 03:04:05.678901',
  ingested_at: '2026-01-02 03:04:06.000001',
  source: 1,
  partition: 3,
  offset: 1_000_000_000_001,
  host: 'web-1',
  service: 'sshd',
  environment: 'prod',
  level: 'WARN',
  severity_number: 13,
  message: 'Failed password for root from 203.0.113.9',
  trace_id: 'abc123',
  span_id: 'def4',
  correlation_id: 'c-9',
  source_ip: '::ffff:203.0.113.9',
  source_port: 52_001,
  destination_ip: '2001:db8::5',
  destination_port: 22,
  user: 'root',
  process: 'sshd',
  pid: 4242,
  outcome: 'failure',
  http_method: 'GET',
  http_path: '/a',
  http_status: 404,
  geo_country: 'NZ',
  geo_city: 'Ōtautahi',
  cpu_usage: 12.5,
  memory_used: 8_589_934_592,
  memory_total: '18446744073709551615',
  memory_percentage: 50,
  network_rx_bytes: 0,
  network_tx_bytes: 7,
  threats: [{ name: 'brute', severity: 'HIGH', tags: ['ssh', 'auth'] }],
  template_id: 77,
  metadata: { 'http.agent': 'curl', empty: '' },
};

const FULL_LOG = {
  timestamp: '2026-01-02T03:04:05.678901Z',
  ingested_at: '2026-01-02T03:04:06.000001Z',
  host: 'web-1',
  service: 'sshd',
  environment: 'prod',
  level: 'WARN',
  severity_number: 13,
  message: 'Failed password for root from 203.0.113.9',
  source: { kind: 'kafka', topic: 'logs', partition: 3, offset: 1_000_000_000_001 },
  trace_id: 'abc123',
  span_id: 'def4',
  correlation_id: 'c-9',
  source_ip: '203.0.113.9',
  source_port: 52_001,
  destination_ip: '2001:db8::5',
  destination_port: 22,
  user: 'root',
  process: 'sshd',
  pid: 4242,
  outcome: 'failure',
  http: { method: 'GET', path: '/a', status: 404 },
  geo: { country: 'NZ', city: 'Ōtautahi' },
  cpu_usage: 12.5,
  // Past 2^53 a number would be another one: then the digits.
  memory_usage: { used: 8_589_934_592, total: '18446744073709551615', percentage: 50 },
  network: { rx_bytes: 0, tx_bytes: 7 },
  threats: [{ name: 'brute', severity: 'HIGH', tags: ['ssh', 'auth'] }],
  template_id: 77,
  metadata: { 'http.agent': 'curl', empty: '' },
};

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  const { store } = clickhouse;
  await insertSources(store);
  await insertLogs(store, [
    FULL_ROW,
    { timestamp: '2026-01-02 03:04:05.678902', source: 2, message: 'plain', host: 'web-2', offset: 5 },
    {
      timestamp: '2026-01-02 03:05:00',
      host: "o'hara\\",
      service: 'api',
      level: 'ERROR',
      severity_number: 17,
      message: 'Connection reset by PEER: user=bob; path=/x/y',
      destination_ip: '::ffff:203.0.113.9',
      offset: 6,
    },
  ]);
  // Ties: 60 rows over three microseconds, in several lanes, two buckets of five minutes.
  const ties = Array.from({ length: 60 }, (_, i) => ({
    timestamp: `2026-02-01 00:0${i < 20 ? 4 : 5}:00.00000${i % 2}`,
    source: 1 + (i % 2),
    partition: i % 3,
    offset: 100 + i,
    host: 'tied',
    message: `row ${i}`,
  }));
  await insertLogs(store, ties);
});

afterAll(async () => {
  await clickhouse.stop();
});

describe.each(SERVERS)('logs on %s', (kind) => {
  let api: ApiFixture;

  beforeAll(async () => {
    api = await startApi(kind, clickhouse.store);
    api.clock.nowMs = Date.parse('2026-01-02T03:10:00Z');
  });

  afterAll(async () => {
    await api.stop();
  });

  const messages = async (query: string): Promise<string[]> => {
    const { status, body } = await api.get(`/logs?${query}`);
    expect([status, body.detail]).toEqual([200, undefined]);
    return (body.data as { message: string }[]).map(({ message }) => message);
  };

  it('shows a log with all its fields', async () => {
    const { body } = await api.get('/logs?host=web-1');
    expect(body.data).toEqual([{ id: expect.any(String) as string, ...FULL_LOG }]);
    expect(body.page).toEqual({ next: null, prev: null, limit: 100, total: null });
    expect(body.meta.rows_read).toBeGreaterThan(0);
    expect(body.meta.elapsed_ms).toBeGreaterThan(0);
  });

  it('leaves out what is absent', async () => {
    const { body } = await api.get('/logs?host=web-2');
    expect(body.data).toEqual([
      {
        id: expect.any(String) as string,
        timestamp: '2026-01-02T03:04:05.678902Z',
        ingested_at: '2026-01-02T03:04:05.678902Z',
        host: 'web-2',
        message: 'plain',
        source: { kind: 'http', partition: 0, offset: 5 },
      },
    ]);
  });

  it.each([
    ['host=web-1&host=web-2', 2],
    ['host=web-1&service=api', 0],
    [`host=${encodeURIComponent("o'hara\\")}`, 1],
    [`host=${encodeURIComponent("x') OR 1=1 --")}`, 0],
    ['service=sshd&environment=prod&user=root&process=sshd&trace_id=abc123&correlation_id=c-9', 1],
    ['level=warn', 1],
    ['level=WARNING&level=err', 2],
    ['level=UNSET&host=web-1&host=web-2', 1],
    ['level=unset&level=warn&host=web-1&host=web-2', 2],
    ['level=bogus', 0],
    ['min_level=warn', 2],
    ['min_level=error', 1],
    ['source=logs&to=2026-01-03T00:00:00Z', 2],
    ['source=http&to=2026-01-03T00:00:00Z', 1],
    ['ip=203.0.113.9', 2],
    ['source_ip=203.0.113.9', 1],
    ['destination_ip=2001:db8:0::5', 1],
    ['threat=brute', 1],
    ['threat_severity=high', 1],
    ['attr.http.agent=curl', 1],
    ['attr.http.agent=wget', 0],
    ['q=failed+PASSWORD', 1],
    ['q=fail', 0],
    ['q=203.0.113.9', 1],
    ['q=%22by+peer:%22', 1],
    ['q=%22peer+by%22', 0],
    ['q=peer+reset', 1],
    ['q=;', 1],
    ["q=it's\\+%27", 0],
    ['from=2026-01-02T03:05:00Z&to=2026-01-02T03:05:00.000001Z', 1],
    ['from=2026-01-02T03:04:05.678902Z&to=2026-01-02T03:05:00Z', 1],
    ['from=2026-01-02T04:04:05.678902%2B01:00&to=2026-01-02T03:05:00Z', 1],
    ['from=now-6m&to=now', 3],
    ['from=now-5m&to=now', 1],
  ])('finds with %s', async (query, count) => {
    expect(await messages(query)).toHaveLength(count);
  });

  it.each([
    ['hots=web-1', 'hots'],
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=1e2', 'limit'],
    ['limit=5&limit=6', 'limit'],
    ['order=up', 'order'],
    ['from=yesterday', 'from'],
    ['from=2026-02-30T00:00:00Z', 'from'],
    ['from=2026-01-01', 'from'],
    ['to=9999-01-01T00:00:00Z', 'to'],
    ['from=now&to=now-1h', 'from'],
    ['min_level=loud', 'min_level'],
    ['source_ip=300.1.1.1', 'source_ip'],
    ['ip=fe80::1%25eth0', 'ip'],
    ['cursor=abc', 'cursor'],
    ['attr.=x', 'attr.'],
    [`q=${'w+'.repeat(30)}`, 'q'],
    [`host=${'h'.repeat(1001)}`, 'host'],
  ])('refuses %s and names it', async (query, name) => {
    const { status, body } = await api.get(`/logs?${query}`);
    expect(status).toBe(400);
    expect(body.detail).toContain(name);
  });

  it('pages over ties, forward and back, every row once, with any page size', async () => {
    for (const order of ['desc', 'asc']) {
      const all = await messages(`host=tied&order=${order}&limit=1000`);
      expect(all).toHaveLength(60);
      for (const limit of [2, 7, 59, 60]) {
        const seen: string[] = [];
        let cursor: string | null = '';
        let last: any; // oxlint-disable-line typescript/no-explicit-any
        for (let page = 0; cursor !== null && page < 100; page++) {
          const suffix: string = cursor === '' ? '' : `&cursor=${cursor}`;
          const { body } = await api.get(`/logs?host=tied&order=${order}&limit=${limit}${suffix}`);
          seen.push(...(body.data as { message: string }[]).map(({ message }) => message));
          last = body;
          cursor = body.page.next as string | null;
        }
        expect(seen).toEqual(all);
        const back: string[] = [];
        cursor = last.page.prev as string | null;
        while (cursor !== null && back.length < 100) {
          const { body } = await api.get(`/logs?host=tied&order=${order}&limit=${limit}&cursor=${cursor}`);
          expect(body.page.next).not.toBeNull();
          back.unshift(...(body.data as { message: string }[]).map(({ message }) => message));
          cursor = body.page.prev as string | null;
        }
        expect(back).toEqual(all.slice(0, back.length));
        expect(back.length).toBe(60 - last.data.length);
      }
    }
  });

  it('keeps the range of the first page while the clock goes on', async () => {
    const first = await api.get('/logs?from=now-6m&to=now&limit=1');
    api.clock.nowMs += 600_000;
    const second = await api.get(`/logs?from=now-6m&to=now&limit=5&cursor=${first.body.page.next}`);
    api.clock.nowMs -= 600_000;
    expect(second.body.data).toHaveLength(2);
  });

  it('refuses a cursor that was changed or belongs to another query', async () => {
    const { body } = await api.get('/logs?host=tied&limit=7');
    const cursor = body.page.next as string;
    const flipped = cursor.slice(0, 30) + (cursor[30] === 'A' ? 'B' : 'A') + cursor.slice(31);
    const queries = [
      `host=tied&cursor=${flipped}`,
      `host=tied&cursor=${cursor}=`,
      `host=tied&cursor=${cursor}!`,
      `host=web-1&cursor=${cursor}`,
      `host=tied&order=asc&cursor=${cursor}`,
      `host=tied&level=info&cursor=${cursor}`,
      `cursor=${cursor}`,
    ];
    for (const query of queries) expect((await api.get(`/logs?${query}`)).status).toBe(400);
    expect((await api.get(`/logs?limit=3&host=tied&cursor=${cursor}`)).status).toBe(200);
  });

  it('finds a log by its id', async () => {
    const { body } = await api.get('/logs?host=web-1');
    const id = body.data[0].id as string;
    const headers = { Authorization: `Bearer ${await api.token('viewer')}` };
    const answer = await fetch(`${api.base}/api/v1/logs/${id}`, { headers });
    expect(await answer.json()).toEqual({ id, ...FULL_LOG });
    expect(answer.headers.get('cache-control')).toContain('immutable');
    const [{ same } = { same: 0 }] = await clickhouse.store.query<{ same: number }>(
      "SELECT count() AS same FROM logs WHERE host = 'web-1' AND toString(id) = {id:String}",
      { id },
    );
    expect(same).toBe(1);
  });

  it('answers 404 to ids that are none or of nothing', async () => {
    const { body } = await api.get('/logs?host=web-1');
    const id = body.data[0].id as string;
    const other = id.slice(0, -1) + (id.endsWith('0') ? '1' : '0');
    for (const path of [other, 'x', '00000000-0000-0000-0000-000000000000', '%00', `${id}x`]) {
      expect((await api.get(`/logs/${path}`)).status).toBe(404);
    }
    expect((await api.get('/logs/%zz')).status).toBe(400);
  });

  it('says 422 to a query that would read too much, and names no statement', async () => {
    const { store } = clickhouse;
    const limited = await startApi(kind, {
      query: (sql, params, options) => store.query(sql, params, options),
      stream: (sql, params, options) => store.stream(sql, params, options),
      insertJson: (table, rows) => store.insertJson(table, rows),
      // As the store has it, with a table that is too large for the limit.
      select: (sql, params, options) =>
        store.select(sql, params, { ...options, settings: { ...options?.settings, max_rows_to_read: 1 } }),
    });
    const { status, body } = await limited.get('/logs');
    expect(status).toBe(422);
    expect(body).toMatchObject({ code: 'query_too_costly', errors: [{ parameter: 'from' }] });
    expect(JSON.stringify(body)).not.toMatch(/SELECT|FROM/);
    await limited.stop();
  });

  it('cannot be made to write', async () => {
    // The limits that every query of a client runs under.
    const settings = { readonly: 2 };
    await expect(clickhouse.store.query('DROP TABLE logs', {}, { settings })).rejects.toThrow();
    await expect(
      clickhouse.store.query("INSERT INTO logs (message) VALUES ('x')", {}, { settings }),
    ).rejects.toThrow();
    expect(await messages('host=web-1')).toHaveLength(1);
  });
});
