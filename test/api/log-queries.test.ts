/**
 * What can be asked of logs besides pages: counts, one log and its neighbours, histograms, facets, exports.
 */
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countLogs } from '../../src/api/logs/log-count.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type ApiFixture, SERVERS, startApi } from './api-fixture.ts';
import { directRoutes, textOf } from './direct-routes.ts';
import { openRaw } from './http/raw-client.ts';
import { insertLogs, insertSources } from './log-rows.ts';

/** A whole hour of yesterday or the day before, so that no rollup row expires. */
const BASE_MS = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 24 * 3_600_000;
const ROWS = 600;
const LEVELS = ['INFO', 'INFO', 'WARN', '', 'weird'];
const RANGE = `from=${iso(0)}&to=${iso(600)}`;
const BULK_ROWS = 120_000;
/** Behind the id, whose text is in the order of time here, in a line of NDJSON. */
const ID_END = '{"id":"00000000-0000-7000-8000-000000000000"'.length;
const SLOW_MS = 120_000;

interface Facets {
  readonly facets: readonly { readonly values: readonly { readonly value: string }[] }[];
}

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  const { store } = clickhouse;
  await insertSources(store);
  // A row each second for ten minutes, on three hosts of two services.
  const rows = Array.from({ length: ROWS }, (_, i) => ({
    timestamp: iso(i),
    host: `h-${i % 3}`,
    service: i % 2 === 0 ? 'api' : 'db',
    environment: i < 300 ? 'prod' : 'dev',
    level: LEVELS[i % LEVELS.length],
    message: `row ${i}`,
    user: i === 7 ? 'root' : '',
    source_ip: i % 2 === 0 ? '::ffff:10.0.0.1' : '::',
    http_status: i % 4 === 0 ? 404 : 0,
    threats: i % 100 === 0 ? [{ name: 'scan', severity: 'LOW', tags: [] }] : [],
    metadata: i % 10 === 0 ? { region: 'north' } : {},
  }));
  await insertLogs(store, rows);
  await insertLogs(store, [
    { timestamp: iso(-3600), service: 'csv', host: 'h', message: '=1+1', user: 'a"b', offset: 9001 },
    {
      timestamp: iso(-3599),
      service: 'csv',
      host: '-2',
      message: 'two\r\nlines; =x',
      metadata: { k: '@v' },
      offset: 9002,
    },
  ]);
  // All within one bucket: more than an export sorts in memory.
  await store.command(`INSERT INTO logs (timestamp, ingested_at, source, partition, offset, retention_days, service, message)
    SELECT toDateTime64('2026-03-01 00:00:00', 6, 'UTC') + toIntervalMicrosecond(number * 7919 % 299999993), now64(6), 1, 9,
      number, 3650, 'bulk', randomPrintableASCII(300) FROM numbers(${BULK_ROWS})`);
}, 60_000);

afterAll(async () => {
  await clickhouse.stop();
});

it(
  'keeps to the scope of its sender in every answer',
  async () => {
    const routes = directRoutes(clickhouse.store, BASE_MS + 600_000);
    const scope = { services: ['api'], hosts: ['h-0', 'h-1'], environments: ['prod'] };
    const ask = async (target: string, headers?: Record<string, string>) =>
      await textOf(await routes.get(target, scope, headers));
    // Of the rows 0 to 299: the even ones, without those of h-2.
    const total = 100;
    for (const count of ['exact', 'estimate']) {
      expect(JSON.parse(await ask(`/logs?${RANGE}&count=${count}`))).toMatchObject({ page: { total } });
    }
    for (const filter of ['', '&q=row']) {
      expect(JSON.parse(await ask(`/logs/histogram?${RANGE}${filter}`))).toMatchObject({ total });
      const { facets } = JSON.parse(
        await ask(`/logs/facets?${RANGE}${filter}&field=host&field=service`),
      ) as Facets;
      expect(facets.map(({ values }) => values.map(({ value }) => value))).toEqual([['h-0', 'h-1'], ['api']]);
    }
    const lines = (await ask(`/logs?${RANGE}`, { accept: 'application/x-ndjson' })).trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1) ?? '')).toEqual({ end: true, rows: total });
    const summary = JSON.parse(await ask(`/metrics/summary?${RANGE}`)) as {
      events: object;
      top_hosts: { host: string }[];
    };
    expect(summary.events).toMatchObject({ total, by_service: [{ service: 'api', count: total }] });
    expect(summary.top_hosts.map(({ host }) => host).toSorted()).toEqual(['h-0', 'h-1']);
    const { id = '' } = JSON.parse(lines[0] ?? '') as { id?: string };
    const inContext = JSON.parse(await ask(`/logs/${id}?context=100`)) as { context: { before: object[] } };
    expect(inContext.context.before.length).toBeGreaterThan(0);
    for (const log of inContext.context.before) expect(log).toMatchObject({ environment: 'prod' });
    const outside = routes.get(`/logs/${id}?context=100`, { services: ['db'] });
    await expect(outside).rejects.toMatchObject({ code: 'not_found' });
  },
  SLOW_MS,
);

it('exports more rows of one bucket than it sorts in memory, in order', async () => {
  const routes = directRoutes(clickhouse.store);
  for (const order of ['desc', 'asc']) {
    const target = `/logs?service=bulk&order=${order}`;
    const lines = (await textOf(await routes.get(target, {}, { accept: 'application/x-ndjson' }))).split(
      '\n',
    );
    expect(lines.splice(-2)).toEqual([JSON.stringify({ end: true, rows: BULK_ROWS }), '']);
    const ids = lines.map((line) => line.slice(0, ID_END));
    const sorted = ids.toSorted();
    expect(ids).toEqual(order === 'asc' ? sorted : sorted.toReversed());
    expect(new Set(ids).size).toBe(BULK_ROWS);
  }
}, 180_000);

it(
  'estimates from the first rows where it may not read them all',
  async () => {
    const filter = new URLSearchParams({ service: 'bulk', source: 'logs' });
    const selection = { scope: {}, filter, fromUs: undefined, toUs: undefined };
    const ports = { store: clickhouse.store, signal: new AbortController().signal, now: Date.now };
    const count = await countLogs(selection, 'estimate', { ...ports, sampleRows: 20_000 });
    expect(count.rowsRead).toBeLessThan(BULK_ROWS);
    expect(count.total).toBeGreaterThan(BULK_ROWS / 2);
    expect(count.total).toBeLessThan(BULK_ROWS * 2);
    expect((await countLogs(selection, 'exact', ports)).total).toBe(BULK_ROWS);
  },
  SLOW_MS,
);

describe.each(SERVERS)('queries for logs on %s', (kind) => {
  let api: ApiFixture;
  let headers: Record<string, string>;

  beforeAll(async () => {
    api = await startApi(kind, clickhouse.store);
    api.clock.nowMs = BASE_MS + 600_000;
    headers = { Authorization: `Bearer ${await api.token('viewer')}` };
  });

  afterAll(async () => {
    await api.stop();
  });

  const fetchAs = (path: string, more: Record<string, string> = {}): Promise<Response> =>
    fetch(api.base + path, { headers: { ...headers, ...more } });
  const ask = async (path: string) => {
    const { status, body } = await api.get(path);
    expect([status, body.detail]).toEqual([200, undefined]);
    return body;
  };

  it('links to the pages around', async () => {
    const first = await fetchAs(`/api/v1/logs?${RANGE}&limit=7`);
    const [, next = ''] = /^<([^>]+)>; rel="next"$/.exec(first.headers.get('link') ?? '') ?? [];
    const second = await fetchAs(next);
    const { data, page } = (await second.json()) as { data: { message: string }[]; page: { prev: string } };
    expect(data.map(({ message }) => message)).toEqual(
      [592, 591, 590, 589, 588, 587, 586].map((i) => `row ${i}`),
    );
    const [, prev = ''] = /<([^>]+)>; rel="prev"/.exec(second.headers.get('link') ?? '') ?? [];
    expect(new URLSearchParams(prev.split('?')[1]).get('cursor')).toBe(page.prev);
    expect(await (await fetchAs(prev)).json()).toMatchObject({
      data: ((await first.json()) as { data: unknown[] }).data,
      page: { prev: null },
    });
    expect((await fetchAs(`/logs?${RANGE}&limit=1000`)).headers.get('link')).toBeNull();
  });

  it.each([
    ['', 600],
    ['&host=h-1&level=WARN', 40],
    ['&q=row+17', 1],
    ['&user=root', 1],
  ])('counts all pages of %j, exactly and by estimate', async (filter, total) => {
    const exact = await ask(`/logs?${RANGE}${filter}&limit=1&count=exact`);
    expect(exact.page.total).toBe(total);
    expect((await ask(`/logs?${RANGE}${filter}&limit=1&count=estimate`)).page.total).toBe(total);
    const more = exact.page.next === null ? undefined : exact.page.next;
    if (more !== undefined) {
      const next = await ask(`/logs?${RANGE}${filter}&limit=1&cursor=${more}&count=exact`);
      // oxlint-disable-next-line vitest/no-conditional-expect
      expect(next.page.total).toBe(total);
    }
    expect((await api.get('/logs?count=maybe')).status).toBe(400);
  });

  it('gives a log for keeps, and says so when it is still the same', async () => {
    const { data } = await ask(`/logs?${RANGE}&user=root`);
    const path = `/logs/${data[0].id as string}`;
    const answer = await fetchAs(path);
    expect(answer.headers.get('vary')).toMatch(/^Authorization, X-API-Key\b/);
    const etag = answer.headers.get('etag') ?? '';
    expect(etag).toMatch(/^"[\w-]{43}"$/);
    expect(answer.headers.get('cache-control')).toContain('immutable');
    for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const same = await fetchAs(path, { 'If-None-Match': tag });
      expect([same.status, same.headers.get('etag'), await same.text()]).toEqual([304, etag, '']);
    }
    expect((await fetchAs(path, { 'If-None-Match': '"other"' })).status).toBe(200);
  });

  it('shows the neighbours of a log on its host and service', async () => {
    const { data } = await ask(`/logs?${RANGE}&user=root`);
    const body = await ask(`/logs/${data[0].id as string}?context=3`);
    const { context, meta, ...log } = body;
    expect(log).toEqual(data[0]);
    const messages = (logs: { message: string }[]) => logs.map(({ message }) => message);
    // Row 7 is of h-1 and db: every sixth row.
    expect(messages(context.before)).toEqual(['row 1']);
    expect(messages(context.after)).toEqual(['row 13', 'row 19', 'row 25']);
    expect(meta.rows_read).toBeGreaterThan(0);
    for (const n of ['101', '-1', 'x']) {
      expect((await api.get(`/logs/${data[0].id as string}?context=${n}`)).status).toBe(400);
    }
  });

  it.each([
    ['the rollups', '', 'interval=2m'],
    ['the logs', '&attr.region=north', 'interval=2m'],
    ['the logs by seconds', '', 'interval=30s'],
    ['what fits', '', ''],
  ])('draws a histogram from %s', async (_name, filter, interval) => {
    const body = await ask(`/logs/histogram?${RANGE}${filter}&${interval}`);
    const every = filter === '' ? 1 : 10;
    expect(body.total).toBe(ROWS / every);
    expect(body.series).toHaveLength(600 / body.interval_seconds);
    expect(body.series.length).toBeLessThanOrEqual(300);
    expect(body.series[1]).toEqual({
      time: new Date(BASE_MS + body.interval_seconds * 1000).toISOString().replace('Z', '000Z'),
      count: body.interval_seconds / every,
      by_level: expect.any(Object) as object,
    });
    const levels: Record<string, number> = {};
    for (const point of body.series) {
      for (const [level, count] of Object.entries<number>(point.by_level)) {
        levels[level] = (levels[level] ?? 0) + count;
      }
    }
    expect(levels).toEqual(filter === '' ? { INFO: 240, WARN: 120, UNSET: 120, OTHER: 120 } : { INFO: 60 });
    expect(body.meta.elapsed_ms).toBeGreaterThan(0);
  });

  it('draws empty intervals, and keeps the number of points small', async () => {
    const body = await ask(`/logs/histogram?from=${iso(-7200)}&to=${iso(-5400)}`);
    expect(body.total).toBe(0);
    expect(new Set(body.series.map((point: { count: number }) => point.count))).toEqual(new Set([0]));
    expect((await api.get(`/logs/histogram?${RANGE}&interval=1s`)).status).toBe(422);
    expect((await api.get(`/logs/histogram?${RANGE}&interval=0`)).status).toBe(400);
    for (const path of ['/logs/histogram', '/metrics/summary']) {
      expect((await api.get(`${path}?${RANGE}&interval=33554432d`)).status).toBe(400);
      expect((await api.get(`${path}?${RANGE}&interval=367d`)).status).toBe(400);
      expect((await api.get(`${path}?${RANGE}&interval=366d`)).status).toBe(200);
    }
    expect((await api.get(`/logs/histogram?${RANGE}&order=asc`)).status).toBe(400);
    const year = await ask('/logs/histogram?from=now-365d');
    expect(year.series.length).toBeLessThanOrEqual(300);
  });

  it('finds the most frequent values', async () => {
    const fields = ['service', 'user', 'http.status', 'source_ip', 'threat', 'attr.region'];
    const query = fields.map((field) => `field=${field}`).join('&');
    const body = await ask(`/logs/facets?${RANGE}&${query}`);
    expect(body.facets).toEqual([
      facet(
        'service',
        [
          ['api', 300],
          ['db', 300],
        ],
        0,
      ),
      facet('user', [['root', 1]], 599),
      facet('http.status', [['404', 150]], 450),
      facet('source_ip', [['10.0.0.1', 300]], 300),
      facet('threat', [['scan', 6]], 594),
      facet('attr.region', [['north', 60]], 540),
    ]);
    expect(body.meta.rows_read).toBeGreaterThan(0);
  });

  it('finds values in the rollups where they have them, and counts what it leaves out', async () => {
    const body = await ask(`/logs/facets?${RANGE}&field=host&field=level&limit=2&environment=prod`);
    expect(body.facets).toEqual([
      {
        ...facet(
          'host',
          [
            ['h-0', 100],
            ['h-1', 100],
          ],
          0,
        ),
        distinct: 3,
        other: 100,
      },
      {
        ...facet(
          'level',
          [
            ['INFO', 120],
            ['UNSET', 60],
          ],
          0,
        ),
        distinct: 4,
        other: 120,
      },
    ]);
    // From ten minutes of counts, not from the logs.
    expect(body.meta.rows_read).toBeLessThan(2 * ROWS);
    for (const query of [
      '',
      '&field=message',
      `&field=attr.`,
      '&field=host&limit=101',
      '&field=host&limit=0',
    ]) {
      expect((await api.get(`/logs/facets?${RANGE}${query}`)).status).toBe(400);
    }
  });

  it('exports NDJSON in order with an end line, with gzip where it is taken', async () => {
    const plain = await fetchAs(`/logs?${RANGE}&order=asc`, {
      Accept: 'application/x-ndjson',
      'Accept-Encoding': 'identity',
    });
    expect(plain.headers.get('content-type')).toBe('application/x-ndjson');
    expect(plain.headers.get('content-encoding')).toBeNull();
    const text = await plain.text();
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.at(-1)).toEqual({ end: true, rows: ROWS });
    expect(lines.slice(0, -1).map((log) => log['message'])).toEqual(
      Array.from({ length: ROWS }, (_, i) => `row ${i}`),
    );
    const page = await ask(`/logs?${RANGE}&order=asc&limit=1000`);
    expect(lines.slice(0, -1)).toEqual(page.data);
    const { rawBody, head } = await rawGet(`/logs?${RANGE}&order=asc`, 'application/x-ndjson');
    expect(head).toMatch(/content-encoding: gzip/i);
    expect(gunzipSync(rawBody).toString()).toBe(text);
    const newest = await fetchAs(`/logs?${RANGE}&limit=2`, { Accept: 'application/x-ndjson' });
    expect((await newest.text()).match(/row \d+/g)).toEqual(['row 599', 'row 598']);
  });

  it('exports CSV that no spreadsheet takes for formulas', async () => {
    const answer = await fetchAs(`/logs?service=csv&order=asc`, { Accept: 'text/csv, */*;q=0.1' });
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
    const [head = [], first = [], second = [], end = [], ...rest] = parseCsv(await answer.text());
    expect(rest).toEqual([]);
    const at = (row: string[], name: string) => row[head.indexOf(name)];
    expect([at(first, 'message'), at(first, 'user'), at(first, 'source.offset')]).toEqual([
      "'=1+1",
      'a"b',
      '9001',
    ]);
    expect([at(second, 'message'), at(second, 'host'), at(second, 'metadata')]).toEqual([
      'two\r\nlines; =x',
      "'-2",
      '{"k":"@v"}',
    ]);
    expect(end.slice(0, 3)).toEqual(['#end', '2', '']);
    expect(new Set([head, first, second, end].map((row) => row.length))).toEqual(new Set([head.length]));
  });

  it('refuses what an export cannot do, before it begins', async () => {
    const status = async (query: string, accept: string) => {
      const answer = await fetchAs(`/logs?${query}`, { Accept: accept });
      await answer.arrayBuffer();
      return answer.status;
    };
    expect(await status('', 'image/png')).toBe(406);
    expect(await status('', 'application/json;q=0, text/csv;q=0')).toBe(406);
    expect(await status('limit=1', 'text/html, */*;q=0.1')).toBe(200);
    expect(await status('cursor=x', 'text/csv')).toBe(400);
    expect(await status('count=exact', 'text/csv')).toBe(400);
    expect(await status('hots=1', 'text/csv')).toBe(400);
    const head = await fetch(`${api.base}/logs`, {
      method: 'HEAD',
      headers: { ...headers, Accept: 'text/csv' },
    });
    expect([head.status, head.headers.get('content-type')]).toEqual([
      200,
      'text/csv; charset=utf-8; header=present',
    ]);
  });

  it(
    'reads no more of an export than its client, and ends it with its client',
    async () => {
      // 30,000 rows of some 700 bytes: more than the sockets hold.
      const path = '/logs?service=bulk&to=2026-03-01T00:01:15Z';
      const running = async (): Promise<number> => {
        const [row] = await clickhouse.store.query<{ count: number }>(
          "SELECT count() AS count FROM system.processes WHERE query LIKE 'SELECT%service IN%ORDER BY%' AND query NOT LIKE '%processes%'",
        );
        return row?.count ?? -1;
      };
      const connections = await Promise.all(
        Array.from({ length: 2 }, async () => {
          const raw = await openRaw(api.port);
          raw.send(exportRequest(path, 'text/csv', 'identity'));
          await raw.until(/HTTP\/1\.1 200/, SLOW_MS / 4);
          raw.socket.pause();
          return raw;
        }),
      );
      const refused = await fetchAs(path, { Accept: 'text/csv' });
      expect([refused.status, refused.headers.has('retry-after')]).toEqual([429, true]);
      const other = { Accept: 'text/csv', Authorization: `Bearer ${await api.token('analyst')}` };
      const taken = await fetchAs('/logs?service=csv', other);
      expect([taken.status, (await taken.text()).includes('=1+1')]).toEqual([200, true]);
      await expect.poll(running, { timeout: SLOW_MS / 4 }).toBe(2);
      for (const raw of connections) raw.destroy();
      await expect.poll(running, { timeout: SLOW_MS / 4 }).toBe(0);
      await expect.poll(() => api.server.inFlightCount, { timeout: SLOW_MS / 4 }).toBe(0);
      const again = await fetchAs('/logs?service=csv', { Accept: 'text/csv' });
      expect(again.status).toBe(200);
      await again.arrayBuffer();
    },
    SLOW_MS,
  );

  const exportRequest = (path: string, accept: string, encoding: string): string =>
    [
      `GET ${path} HTTP/1.1`,
      'Host: a',
      `Authorization: ${headers['Authorization'] ?? ''}`,
      `Accept: ${accept}`,
      `Accept-Encoding: ${encoding}`,
      '\r\n',
    ].join('\r\n');

  async function rawGet(path: string, accept: string): Promise<{ head: string; rawBody: Buffer }> {
    const raw = await openRaw(api.port);
    raw.send(exportRequest(path, accept, 'gzip'));
    const text = await raw.until(/\r\n0\r\n\r\n$/, 20_000);
    raw.destroy();
    const split = text.indexOf('\r\n\r\n');
    return { head: text.slice(0, split), rawBody: dechunk(text.slice(split + 4)) };
  }
});

function iso(seconds: number): string {
  return new Date(BASE_MS + seconds * 1000).toISOString();
}

function facet(field: string, values: [string, number][], missing: number) {
  return {
    field,
    values: values.map(([value, count]) => ({ value, count })),
    distinct: values.length,
    other: 0,
    missing,
  };
}

/** The bytes of a chunked body that came as latin1 text. */
function dechunk(text: string): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (size === 0) return Buffer.concat(parts);
    parts.push(Buffer.from(text.slice(lineEnd + 2, lineEnd + 2 + size), 'latin1'));
    at = lineEnd + 2 + size + 2;
  }
}

/** RFC 4180, nothing else. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain = '', end = ''] of text.matchAll(
    /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g,
  )) {
    row.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === ',') continue;
    rows.push(row);
    row = [];
  }
  return rows;
}
