/**
 * `POST /logs` through an ingest port, and the probes, on both servers. ClickHouse holds only the users here.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { deflateSync, gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type ApiFixture, MAX_BODY_BYTES, SERVERS, startApi } from './api-fixture.ts';
import { openRaw } from './http/raw-client.ts';

const METRICS_TOKEN = 'a token for metrics only';

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
});

afterAll(async () => {
  await clickhouse.stop();
});

describe.each(SERVERS)('ingest on %s', (kind) => {
  let api: ApiFixture;
  let authorization = '';

  beforeAll(async () => {
    api = await startApi(kind, clickhouse.store, { metricsToken: METRICS_TOKEN });
    authorization = `Bearer ${await api.token('writer')}`;
  });

  afterEach(() => {
    api.ingest.bodies.length = 0;
    api.ingest.keys.length = 0;
    api.ingest.outcome = { kind: 'stored', acceptedCount: 1, rejectedCount: 0, rejected: [] };
    api.status.isSilent = false;
    api.status.snapshots.readiness = { problems: [] };
  });

  afterAll(async () => {
    await api.stop();
  });

  const send = (
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
    path = '/logs',
  ): Promise<Response> =>
    fetch(api.base + path, { method: 'POST', headers: { Authorization: authorization, ...headers }, body });

  const typed = (body: string | Uint8Array<ArrayBuffer>, type: string): Promise<Response> =>
    send(body, { 'Content-Type': type });

  it.each([
    ['application/json', 'json'],
    ['application/json; charset=utf-8', 'json'],
    ['APPLICATION/JSON', 'json'],
    ['application/x-ndjson', 'ndjson'],
    ['application/ndjson', 'ndjson'],
    ['application/jsonl', 'ndjson'],
    ['text/plain;charset=UTF-8', 'text'],
  ])('takes %s as %s', async (type, format) => {
    const answer = await typed('{"message":"ä"}', type);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({ accepted: 1, rejected: [] });
    expect(api.ingest.bodies).toEqual([{ text: '{"message":"ä"}', format }]);
  });

  it.each([
    [' [{"a":1}]', 'json'],
    ['{"a":1}', 'json'],
    ['{"a":1}\n', 'json'],
    ['{\n  "a": 1\n}', 'json'],
    ['{"a":1}\n{"a":2}\n', 'ndjson'],
    ['{"a":1}\r\n\r\n{"a":2}', 'ndjson'],
    ['<34>Oct 11 22:14:15 host su: x', 'text'],
    ['', 'text'],
  ])('without a type takes %j as %s', async (body, format) => {
    await send(Buffer.from(body));
    expect(api.ingest.bodies.map((taken) => taken.format)).toEqual([format]);
  });

  it('serves every name of the path', async () => {
    for (const path of ['/logs', '/log', '/api/v1/logs', '/api/v1/log']) {
      expect((await send('x', {}, path)).status).toBe(200);
    }
  });

  it.each([
    ['application/xml', {}],
    ['application/x-www-form-urlencoded', {}],
    ['application/json; charset=latin1', {}],
    ['toString', {}],
    ['application/json', { 'Content-Encoding': 'br' }],
    ['application/json', { 'Content-Encoding': 'constructor' }],
  ])('refuses %s with %o by 415', async (type, headers) => {
    const answer = await send('{}', { 'Content-Type': type, ...headers });
    expect(answer.status).toBe(415);
    expect(api.ingest.bodies).toHaveLength(0);
  });

  it('undoes gzip and deflate, but not without end', async () => {
    const gzip = { 'Content-Encoding': 'gzip', 'Content-Type': 'text/plain' };
    expect((await send(gzipSync('hello'), gzip)).status).toBe(200);
    const deflate = { 'Content-Encoding': 'Deflate', 'Content-Type': 'text/plain' };
    expect((await send(deflateSync('world'), deflate)).status).toBe(200);
    expect(api.ingest.bodies.map(({ text }) => text)).toEqual(['hello', 'world']);
    const bomb = gzipSync(Buffer.alloc(MAX_BODY_BYTES * 50));
    expect((await send(bomb, gzip)).status).toBe(413);
    expect((await send('no gzip', gzip)).status).toBe(400);
    expect(api.ingest.bodies).toHaveLength(2);
  });

  it('refuses bodies over the limit', async () => {
    expect((await typed('x'.repeat(MAX_BODY_BYTES), 'text/plain')).status).toBe(200);
    const answer = await typed('x'.repeat(MAX_BODY_BYTES + 1), 'text/plain');
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({ code: 'payload_too_large' });
  });

  it('tells which records were rejected, and 422 when all were', async () => {
    const rejected = [
      { line: 2, code: 'malformed_json', reason: 'Unexpected end', dead_letter_id: 'd1' },
    ] as const;
    api.ingest.outcome = { kind: 'stored', acceptedCount: 3, rejectedCount: 1, rejected };
    const some = await typed('x', 'text/plain');
    expect(some.status).toBe(200);
    expect(await some.json()).toEqual({ accepted: 3, rejected });
    api.ingest.outcome = { kind: 'stored', acceptedCount: 0, rejectedCount: 2000, rejected };
    const none = await typed('x', 'text/plain');
    expect(none.status).toBe(422);
    expect(none.headers.get('content-type')).toBe('application/problem+json');
    expect(await none.json()).toMatchObject({ accepted: 0, rejected, rejected_count: 2000 });
  });

  it.each([
    ['shutting_down', 503],
    ['disk_full', 503],
    ['store_unavailable', 503],
    ['too_many_requests', 429],
  ] as const)('answers %s with %i and when to come back', async (code, status) => {
    api.ingest.fail(code);
    const answer = await typed('x', 'text/plain');
    expect(answer.status).toBe(status);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  const keyed = (key: string, body: string, headers: Record<string, string> = {}): Promise<Response> =>
    send(body, { 'Content-Type': 'text/plain', 'Idempotency-Key': key, ...headers });

  it('tells keys apart by user and key, and bodies by bytes and format, as digests', async () => {
    const admin = { Authorization: `Bearer ${await api.token('admin')}` };
    await keyed('k', 'body');
    await keyed('k', 'body', { Authorization: authorization });
    await keyed('k', 'body', admin);
    await keyed('"k"', 'body');
    await keyed('k', 'other');
    await keyed('k', 'body', { 'Content-Type': 'application/x-ndjson' });
    const keys = api.ingest.keys;
    const [first] = keys;
    expect(first?.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(keys[1]).toEqual(first);
    const same = (place: 'digest' | 'bodyDigest'): boolean[] =>
      keys.map((key) => key[place] === first?.[place]);
    expect(same('digest')).toEqual([true, true, false, false, true, true]);
    expect(same('bodyDigest')).toEqual([true, true, true, true, false, false]);
  });

  it('knows an encoded body for the same', async () => {
    const headers = { 'Content-Type': 'text/plain', 'Idempotency-Key': 'k' };
    await send('body', headers);
    await send(gzipSync('body'), { ...headers, 'Content-Encoding': 'gzip' });
    expect(api.ingest.keys[1]).toEqual(api.ingest.keys[0]);
  });

  it.each(['', 'x'.repeat(256), 'k\u00e9y', 'a\tb'])(
    'refuses the key %j before it reads the body',
    async (key) => {
      const answer = await keyed(key, 'body');
      expect(answer.status).toBe(400);
      expect(api.ingest.bodies).toHaveLength(0);
    },
  );

  it('takes the longest key', async () => {
    expect((await keyed('~'.repeat(255), 'body')).status).toBe(200);
  });

  it('says when an answer is repeated', async () => {
    expect((await keyed('k', 'body')).headers.get('idempotency-replayed')).toBeNull();
    api.ingest.outcome = {
      kind: 'stored',
      acceptedCount: 1,
      rejectedCount: 0,
      rejected: [],
      isReplayed: true,
    };
    const again = await keyed('k', 'body');
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await again.json()).toEqual({ accepted: 1, rejected: [] });
    api.ingest.outcome = {
      kind: 'stored',
      acceptedCount: 0,
      rejectedCount: 1,
      rejected: [],
      isReplayed: true,
    };
    const rejected = await keyed('k', 'body');
    expect([rejected.status, rejected.headers.get('idempotency-replayed')]).toEqual([422, 'true']);
  });

  it('has problem types for a key with another body, and for a request under way', async () => {
    api.ingest.fail('idempotency_key_reused');
    const reused = await keyed('k', 'body');
    expect(reused.status).toBe(422);
    expect(await reused.json()).toMatchObject({ type: '/problems/idempotency_key_reused' });
    api.ingest.fail('request_in_progress');
    const early = await keyed('k', 'body');
    expect(early.status).toBe(409);
    expect(Number(early.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await early.json()).toMatchObject({ type: '/problems/request_in_progress' });
  });

  it('holds no more bytes of bodies than its budget, and gets them back', async () => {
    const admin = `Bearer ${await api.token('admin')}`;
    const claims = await Promise.all(
      [authorization, authorization, admin, admin].map(async (who) => {
        const raw = await openRaw(api.port);
        raw.send(
          `POST /logs HTTP/1.1\r\nHost: a\r\nAuthorization: ${who}\r\nContent-Type: text/plain\r\n` +
            `Content-Length: ${MAX_BODY_BYTES}\r\n\r\n${'x'.repeat(MAX_BODY_BYTES - 1)}`,
        );
        return raw;
      }),
    );
    await waitFor(() => api.server.inFlightCount === 4);
    await expect.poll(async () => (await typed('xxxxx', 'text/plain')).status).toBe(429);
    for (const raw of claims) raw.destroy();
    await waitFor(() => api.server.inFlightCount === 0);
    expect((await typed('x', 'text/plain')).status).toBe(200);
  });

  it('refuses a body without a token before it reads it', async () => {
    const raw = await openRaw(api.port);
    raw.send('POST /logs HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\nExpect: 100-continue\r\n\r\n');
    expect(await raw.until(/HTTP\/1\.1 401/)).toContain('problem+json');
    raw.destroy();
  });

  it('says whether it lives and is ready, and why not', async () => {
    expect(await (await fetch(`${api.base}/livez`)).json()).toEqual({ status: 'ok' });
    expect(await (await fetch(`${api.base}/readyz`)).json()).toEqual({ status: 'ready' });
    api.status.snapshots.readiness = {
      problems: [{ reason: 'disk_low', detail: 'Only 1 MiB is free.', since: 0 }],
    };
    // The main thread is asked four times a second at most.
    await sleep(300);
    const unready = await fetch(`${api.base}/readyz`);
    expect(unready.status).toBe(503);
    expect(await unready.json()).toEqual({
      status: 'not_ready',
      reasons: [{ reason: 'disk_low', detail: 'Only 1 MiB is free.', since: '1970-01-01T00:00:00.000Z' }],
    });
    api.status.isSilent = true;
    await sleep(300);
    const silent = await fetch(`${api.base}/readyz`);
    expect(await silent.json()).toMatchObject({ reasons: [{ reason: 'no_progress' }] });
  });

  it('gives metrics only for the token', async () => {
    const get = (token: string): Promise<Response> =>
      fetch(`${api.base}/metrics`, { headers: { Authorization: `Bearer ${token}` } });
    const answer = await get(METRICS_TOKEN);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4');
    expect(await answer.text()).toBe('millrace_up 1\n');
    expect((await get('another')).status).toBe(401);
    expect((await fetch(`${api.base}/metrics`)).status).toBe(401);
  });

  it('hides what went wrong inside, and logs it under the request id', async () => {
    const { store } = clickhouse;
    const broken = await startApi(kind, {
      query: (sql, params, options) => store.query(sql, params, options),
      stream: (sql, params, options) => store.stream(sql, params, options),
      insertJson: (table, rows) => store.insertJson(table, rows),
      select: () => store.select('SELECT secret_column FROM users'),
    });
    const { status, body } = await broken.get('/logs');
    expect(status).toBe(500);
    expect(JSON.stringify(body)).not.toMatch(/secret_column|UNKNOWN_IDENTIFIER|SELECT/);
    const [failure] = broken.telemetry.events.filter(({ event }) => event === 'request_failed');
    expect(failure?.fields['request_id']).toBe(body.request_id);
    expect(failure?.fields['error']).toContain('secret_column');
    await broken.stop();
  });
});

async function waitFor(condition: () => boolean): Promise<void> {
  const endMs = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > endMs) throw new Error('the condition did not come true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
