/**
 * What stands before every route, on both servers: cross-origin pages, limits, traces, proxies, deprecation.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ClientAddress } from '../../src/api/client-address.ts';
import { Cors } from '../../src/api/cors.ts';
import { Front } from '../../src/api/front.ts';
import { LIVEZ } from '../../src/api/health/health-operations.ts';
import type { HttpServer } from '../../src/api/http/port.ts';
import { createHttpServer } from '../../src/api/http/server.ts';
import { RateLimits } from '../../src/api/limits/rate-limits.ts';
import { jsonResponse } from '../../src/api/problem.ts';
import { type Principal, ROLES, type Route } from '../../src/api/route.ts';
import { MillraceError } from '../../src/errors.ts';
import { RecordingTelemetry } from '../support/clickhouse.ts';
import { SERVERS } from './api-fixture.ts';

const ORIGIN = 'https://dashboard.example.com';
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const QUOTAS = {
  requestsPerMinute: 6,
  rowsPerMinute: 600,
  ingestBytesPerMinute: 6000,
  anonymousPerMinute: 4,
  streamsPerUser: 1,
};
const DEADLINE_MS = 300;

const ROUTES: Route[] = [
  { method: 'GET', path: '/open', access: 'public', operation: LIVEZ, handle: async () => jsonResponse({}) },
  {
    method: 'GET',
    path: '/probe',
    access: 'public',
    operation: LIVEZ,
    isUncounted: true,
    handle: async ({ request: { remoteAddress } }) => jsonResponse({ remoteAddress }),
  },
  { method: 'GET', path: '/mine', access: 'read', operation: LIVEZ, handle: async () => jsonResponse({}) },
  {
    method: 'DELETE',
    path: '/mine',
    access: 'manage',
    operation: LIVEZ,
    handle: async () => jsonResponse({}),
  },
  {
    method: 'GET',
    path: '/varied',
    access: 'public',
    operation: LIVEZ,
    isUncounted: true,
    deprecation: { since: '2026-01-02', sunset: '2027-01-01' },
    handle: async () => ({
      status: 200,
      headers: { Vary: 'Accept', 'Content-Type': 'text/plain' },
      body: '',
    }),
  },
  {
    method: 'GET',
    path: '/broken',
    access: 'public',
    operation: LIVEZ,
    isUncounted: true,
    handle: () => Promise.reject(new Error('broken inside')),
  },
  {
    method: 'GET',
    path: '/slow',
    access: 'public',
    operation: LIVEZ,
    isUncounted: true,
    handle: () => new Promise(() => undefined),
  },
  {
    method: 'POST',
    path: '/logs',
    access: 'post',
    operation: LIVEZ,
    handle: async ({ request }) => jsonResponse({ bytes: (await request.readBody(1000)).byteLength }),
  },
];

describe.each(SERVERS)('the front on %s', (kind) => {
  const clock = { nowMs: 1_000_000 };
  let telemetry = new RecordingTelemetry();
  let server: HttpServer;
  let base = '';

  beforeAll(async () => {
    const front = new Front(ROUTES, {
      authenticate: async ({ headers }) => principalOf(headers.get('authorization')),
      telemetry: { emit: (event, fields) => telemetry.emit(event, fields) },
      hasTls: false,
      limits: new RateLimits(QUOTAS, () => clock.nowMs),
      cors: new Cors([ORIGIN, 'http://localhost:5173']),
      clientAddress: new ClientAddress(['127.0.0.1']),
    });
    const options = {
      host: '127.0.0.1',
      port: 0,
      requestDeadlineMs: DEADLINE_MS,
      handler: front.handle.bind(front),
      failure: front.failure.bind(front),
    };
    server = createHttpServer(kind, options, telemetry);
    base = `http://127.0.0.1:${await server.listen()}`;
  });

  beforeEach(() => {
    telemetry = new RecordingTelemetry();
    clock.nowMs += 600_000;
  });

  afterAll(async () => {
    await server.stop(1000);
  });

  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(base + path, { method, headers, ...(method === 'POST' ? { body: 'x'.repeat(500) } : {}) });
  const as = (name: string) => ({ Authorization: name });

  it('lets pages of a listed origin read answers, refusals and late answers, without credentials', async () => {
    for (const path of ['/probe', '/mine', '/nowhere', '/broken', '/slow', '/%zz']) {
      const answer = await ask(path, { Origin: ORIGIN, 'X-Request-Id': 'r1' });
      expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
      expect(answer.headers.get('vary')).toBe('Origin');
      expect(answer.headers.get('cross-origin-resource-policy')).toBe('cross-origin');
      expect(answer.headers.get('x-request-id')).toBe('r1');
      const exposed = answer.headers.get('access-control-expose-headers')?.split(', ');
      expect(exposed).toEqual(
        expect.arrayContaining([
          'Link',
          'ETag',
          'RateLimit',
          'RateLimit-Policy',
          'Retry-After',
          'X-Request-Id',
        ]),
      );
    }
  });

  it.each([
    'https://evil.example.com',
    'null',
    'http://dashboard.example.com',
    `${ORIGIN}.evil.com`,
    `${ORIGIN}:8443`,
    ORIGIN.toUpperCase(),
    '*',
    undefined,
  ])('keeps answers from pages of origin %s', async (origin) => {
    const headers: Record<string, string> = origin === undefined ? {} : { Origin: origin };
    const answer = await ask('/probe', headers);
    const preflight = await ask(
      '/mine',
      {
        ...headers,
        'Access-Control-Request-Method': 'DELETE',
        'Access-Control-Request-Headers': 'authorization',
      },
      'OPTIONS',
    );
    for (const { headers: given } of [answer, preflight]) {
      expect(given.get('vary')).toMatch(/Origin$/);
      expect([...given.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
      expect(given.get('cross-origin-resource-policy')).toBe('same-origin');
    }
  });

  it('answers a preflight with the methods of the path and the headers that mean something', async () => {
    const headers = { Origin: 'http://localhost:5173', 'Access-Control-Request-Method': 'DELETE' };
    const answer = await ask('/api/v1/mine', headers, 'OPTIONS');
    expect(answer.status).toBe(204);
    expect(answer.headers.get('access-control-allow-origin')).toBe('http://localhost:5173');
    expect(answer.headers.get('access-control-allow-methods')).toBe('DELETE, GET, HEAD');
    expect(answer.headers.get('access-control-max-age')).toBe('600');
    expect(answer.headers.get('vary')).toBe(
      'Access-Control-Request-Method, Access-Control-Request-Headers, Origin',
    );
    const allowed = answer.headers.get('access-control-allow-headers')?.split(', ');
    for (const name of ['Authorization', 'If-Match', 'Idempotency-Key', 'Last-Event-ID', 'Content-Type'])
      expect(allowed).toContain(name);
    expect(allowed).toContain('X-API-Key');
  });

  it('adds to what an answer varies by, and says that a route goes', async () => {
    const { headers } = await ask('/varied');
    expect(headers.get('vary')).toBe('Accept, Origin');
    expect(headers.get('deprecation')).toBe('@1767312000');
    expect(headers.get('sunset')).toBe('Fri, 01 Jan 2027 00:00:00 GMT');
  });

  it('limits the requests of a user, says what is left on every answer, refusals too', async () => {
    const first = await ask('/mine', as('reader'));
    expect(first.status).toBe(200);
    expect(first.headers.get('ratelimit-policy')).toBe('"requests";q=6;w=60, "rows";q=600;w=60;qu="rows"');
    expect(first.headers.get('ratelimit')).toBe('"requests";r=5;t=10, "rows";r=600;t=0');
    const denied = await ask('/mine', as('reader'), 'DELETE');
    expect(denied.status).toBe(403);
    expect(denied.headers.get('ratelimit')).toBe('"requests";r=4;t=20, "rows";r=600;t=0');
    for (let i = 0; i < 4; i++) expect((await ask('/mine', as('reader'))).status).toBe(200);
    const refused = await ask('/mine', as('reader'));
    expect(refused.status).toBe(429);
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
    expect(refused.headers.get('retry-after')).toBe('10');
    expect(refused.headers.get('ratelimit')).toBe('"requests";r=0;t=60, "rows";r=600;t=0');
    expect(await refused.json()).toMatchObject({ code: 'too_many_requests', status: 429 });
    expect((await ask('/mine', as('other'))).status).toBe(200);
    clock.nowMs += 10_000;
    expect((await ask('/mine', as('reader'))).status).toBe(200);
    await expect.poll(() => telemetry.count('requests_limited'), { timeout: 5000 }).toBe(1);
  });

  it('charges bodies as sent and a little for each, and holds back who owes', async () => {
    const first = await ask('/logs', as('writer'), 'POST');
    expect(first.headers.get('ratelimit-policy')).toBe('"ingest";q=6000;w=60;qu="content-bytes"');
    expect(first.headers.get('ratelimit')).toBe('"ingest";r=4476;t=16');
    expect(await first.json()).toEqual({ bytes: 500 });
    for (let i = 0; i < 3; i++) expect((await ask('/logs', as('writer'), 'POST')).status).toBe(200);
    const refused = await ask('/logs', as('writer'), 'POST');
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(refused.headers.get('ratelimit')).toBe('"ingest";r=0;t=61');
    expect((await ask('/mine', as('writer'))).status).toBe(403);
  });

  it('limits an address without a login, bad tokens and keys among it, and leaves probes and users alone', async () => {
    const from = (address: string, name?: string) => ({
      'X-Forwarded-For': address,
      ...(name === undefined ? {} : as(name)),
    });
    expect((await ask('/open', from('198.51.100.1'))).status).toBe(200);
    for (let i = 0; i < 3; i++) expect((await ask('/mine', from('198.51.100.1', '?'))).status).toBe(401);
    expect((await ask('/mine', from('198.51.100.1', '?'))).status).toBe(429);
    const refused = await ask('/open', from('198.51.100.1'));
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('15');
    expect((await ask('/open', from('198.51.100.1, 198.51.100.2'))).status).toBe(200);
    expect((await ask('/mine', from('198.51.100.1', 'reader'))).status).toBe(200);
    const probe = await ask('/probe', from('198.51.100.1'));
    expect(await probe.json()).toEqual({ remoteAddress: '198.51.100.1' });
  });

  it('tells the trace of a request in its problem and in the log, and takes no other', async () => {
    const traceparent = `00-${TRACE}-00f067aa0ba902b7-01`;
    const answer = await ask('/broken', { traceparent, 'X-Request-Id': 'r2' });
    expect(await answer.json()).toMatchObject({ trace_id: TRACE, request_id: 'r2', code: 'internal' });
    const [{ fields } = { fields: {} }] = telemetry.events.filter(({ event }) => event === 'request_failed');
    expect(fields).toMatchObject({ trace_id: TRACE, request_id: 'r2' });
    const late = await ask('/slow', { traceparent, 'X-Request-Id': 'r3' });
    expect(await late.json()).toMatchObject({ trace_id: TRACE, request_id: 'r3', code: 'deadline_exceeded' });
    const other = await ask('/broken', { traceparent: `${traceparent}-x`, 'X-Request-Id': 'a b' });
    const problem = (await other.json()) as Record<string, string>;
    expect(problem).not.toHaveProperty('trace_id');
    expect(problem['request_id']).toMatch(/^[0-9a-f-]{36}$/);
  });
});

function principalOf(name: string | undefined): Principal {
  if (name === undefined || name === '?') throw new MillraceError('unauthorized', 'Log in first.');
  const role = name === 'writer' ? 'writer' : ROLES[2];
  return { username: name, role, sessionId: 's', scope: {} };
}
