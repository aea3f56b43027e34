/**
 * Two programs on one ClickHouse, one on each HTTP server: each accepts the other's tokens, keys, logouts and tickets,
 * and neither accepts what was used, rotated away or forged.
 */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ApiKeyTable } from '../../src/api/api-keys/api-keys.ts';
import { CurrentKeys } from '../../src/api/api-keys/current-keys.ts';
import { authenticate, authRoutes } from '../../src/api/auth/auth-routes.ts';
import { createAuth } from '../../src/api/auth/create-auth.ts';
import { readSigningKey, replaceSigningKey } from '../../src/api/auth/key-files.ts';
import { publishKey, revokeKey } from '../../src/api/auth/public-keys.ts';
import { signLocalToken } from '../../src/api/auth/tokens.ts';
import { toVerifyingKey } from '../../src/api/auth/verifying-key.ts';
import { Front } from '../../src/api/front.ts';
import { LIVEZ } from '../../src/api/health/health-operations.ts';
import type { HttpServer } from '../../src/api/http/port.ts';
import { createHttpServer } from '../../src/api/http/server.ts';
import { jsonResponse } from '../../src/api/problem.ts';
import type { RequestContext } from '../../src/api/route.ts';
import type { QueryPort } from '../../src/pipeline/query-port.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { until } from '../support/until.ts';
import { type ApiFixture, PASSWORD, startApi } from './api-fixture.ts';
import { decoded, signed } from './forge.ts';

interface TokenAnswer {
  readonly access_token: string;
  readonly refresh_token: string;
}

interface KeySet {
  readonly keys: { readonly kid: string; readonly x: string }[];
}

const DAY_MS = 86_400_000;

vi.setConfig({ testTimeout: 120_000 });

let clickhouse: TestClickHouse;
let one: ApiFixture;
let two: ApiFixture;
/** Of program one. */
const keyReads = { count: 0 };

beforeAll(async () => {
  clickhouse = await startClickHouse();
  const { store } = clickhouse;
  const counting: QueryPort = {
    query: (sql, ...rest) => {
      if (sql.includes('FROM auth_keys')) keyReads.count++;
      return store.query(sql, ...rest);
    },
    select: store.select.bind(store),
    stream: store.stream.bind(store),
    insertJson: store.insertJson.bind(store),
  };
  [one, two] = await Promise.all([startApi('uws', counting), startApi('node', store)]);
  await one.users.add({ name: 'ann', password: PASSWORD, role: 'analyst' }, 'test');
});

afterAll(async () => {
  await Promise.all([one.stop(), two.stop()]);
  await clickhouse.stop();
});

async function login(api: ApiFixture, username = 'ann', password = PASSWORD): Promise<TokenAnswer> {
  const answer = await api.post('/auth/login', { username, password });
  expect(answer.status).toBe(200);
  return (await answer.json()) as TokenAnswer;
}

function bearer(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

async function me(api: ApiFixture, token: string): Promise<number> {
  return (await fetch(`${api.base}/auth/me`, { headers: bearer(token) })).status;
}

async function refresh(api: ApiFixture, token: string): Promise<TokenAnswer | number> {
  const answer = await api.post('/auth/refresh', { refresh_token: token });
  return answer.status === 200 ? ((await answer.json()) as TokenAnswer) : answer.status;
}

/** By another address of this machine. */
async function refreshFrom(
  localAddress: string,
  { port }: ApiFixture,
  token: string,
): Promise<TokenAnswer | number> {
  const headers = { 'Content-Type': 'application/json', Connection: 'close' };
  const sent = request({
    host: '127.0.0.1',
    port,
    localAddress,
    path: '/auth/refresh',
    method: 'POST',
    headers,
  });
  sent.end(JSON.stringify({ refresh_token: token }));
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  const body = await text(answer);
  return answer.statusCode === 200 ? (JSON.parse(body) as TokenAnswer) : (answer.statusCode ?? 0);
}

async function refreshed(api: ApiFixture, token: string): Promise<TokenAnswer> {
  const answer = await refresh(api, token);
  expect(answer).toMatchObject({ access_token: expect.any(String) });
  return answer as TokenAnswer;
}

async function keySet(api: ApiFixture): Promise<KeySet['keys']> {
  const answer = await fetch(`${api.base}/.well-known/jwks.json`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('cache-control')).toBe('public, max-age=60');
  return ((await answer.json()) as KeySet).keys;
}

/** Moves the clocks of both programs. */
function advance(ms: number): void {
  one.clock.nowMs += ms;
  two.clock.nowMs += ms;
}

describe('keys', () => {
  it('are accepted by the other program as soon as they sign, and stand in its key set', async () => {
    expect(await me(one, (await login(one)).access_token)).toBe(200);
    const { access_token: token, refresh_token: refreshToken } = await login(two);
    // Read before the other key was published.
    expect(await me(one, token)).toBe(200);
    expect(await refresh(one, refreshToken)).toMatchObject({ token_type: 'Bearer' });
    advance(60_000);
    const ids = [one.keys.signing.id, two.keys.signing.id].toSorted();
    for (const api of [one, two]) {
      const keys = await keySet(api);
      expect(keys.map((key) => key.kid).toSorted()).toEqual(ids);
      for (const key of keys) {
        expect(key).toMatchObject({ kty: 'OKP', crv: 'Ed25519', use: 'sig', alg: 'EdDSA' });
        expect(toVerifyingKey(key.x).id).toBe(key.kid);
        expect(Object.keys(key)).not.toContain('d');
      }
    }
    expect((await fetch(`${one.base}/api/v1/.well-known/jwks.json`)).status).toBe(404);
  });

  it('let the command line speak only to the program whose key file it reads', async () => {
    const token = signLocalToken(one.keys.signing, 'admin');
    expect(await me(one, token)).toBe(200);
    expect(await me(two, token)).toBe(401);
  });

  it('do not count when they were not published, under a false id, or when they have expired', async () => {
    const { head, claims } = decoded((await login(one)).access_token);
    const { privateKey } = generateKeyPairSync('ed25519');
    const privatePem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const { x = '' } = privateKey.export({ format: 'jwk' });
    const { id } = toVerifyingKey(x);
    const token = signed({ ...head, kid: id }, claims, privatePem);
    const tokenOfFalseId = signed({ ...head, kid: 'f'.repeat(43) }, claims, privatePem);
    const publish = (row: object) =>
      clickhouse.store.insertJson('auth_keys', [{ id, x, version: 1, expires_at: at(DAY_MS), ...row }]);
    expect(await me(one, token)).toBe(401);
    await publish({ id: 'f'.repeat(43) });
    await publish({ id: 'e'.repeat(43), x: 'no key' });
    expect(await me(one, tokenOfFalseId)).toBe(401);
    await publish({ expires_at: at(-1000) });
    expect(await me(one, token)).toBe(401);
    // The way of forging is sound: published, it is a key as any other, until a higher version ends it.
    await publish({ version: 2 });
    expect(await me(one, token)).toBe(200);
    await publish({ version: 3, expires_at: at(-1000) });
    advance(60_000);
    expect(await me(one, token)).toBe(401);
  });

  it('read once for many unknown ids, twice a second at most', async () => {
    const { head, claims } = decoded((await login(one)).access_token);
    const { privatePem } = one.keys.signing;
    const forged = Array.from({ length: 20 }, (_, i) =>
      signed({ ...head, kid: String(i).padStart(43, 'k') }, claims, privatePem),
    );
    const before = keyReads.count;
    const startMs = performance.now();
    for (let wave = 0; wave < 3; wave++) {
      const statuses = await Promise.all(forged.map((token) => me(one, token)));
      expect(new Set(statuses)).toEqual(new Set([401]));
    }
    const readCount = keyReads.count - before;
    expect(readCount).toBeGreaterThan(0);
    expect(readCount).toBeLessThanOrEqual((performance.now() - startMs) / 500 + 1);
  });

  it('are replaced when they are old or on command, and what they signed stays good until it expires', async () => {
    const before = await login(one);
    const { id: firstId } = one.keys.signing;
    one.clock.nowMs += 31 * DAY_MS;
    const after = await login(one);
    const { kid: secondId } = decoded(after.access_token).head;
    expect(secondId).not.toBe(firstId);
    // On command: the file is replaced, and taken up for the next token.
    const third = replaceSigningKey(one.keys.directory, one.clock.nowMs);
    const last = await login(one);
    expect(decoded(last.access_token).head['kid']).toBe(third.id);
    expect(one.telemetry.count('signing_key_replaced')).toBe(2);
    for (const { access_token: token } of [after, last]) expect(await me(two, token)).toBe(200);
    expect(await me(two, before.access_token)).toBe(200);
    expect(await refresh(two, before.refresh_token)).toMatchObject({ token_type: 'Bearer' });
    // The leases are over: neither is accepted any more, whatever the token says of itself.
    two.clock.nowMs += 11 * DAY_MS;
    expect(await me(two, before.access_token)).toBe(401);
    expect((await keySet(two)).map((key) => key.kid)).not.toContain(firstId);
    // Revoked, a key ends within a minute.
    two.clock.nowMs = one.clock.nowMs;
    const { access_token: token } = await login(one);
    expect([await me(one, token), await me(two, token)]).toEqual([200, 200]);
    replaceSigningKey(one.keys.directory, one.clock.nowMs);
    await revokeKey(clickhouse.store, third, one.clock.nowMs);
    advance(60_000);
    expect([await me(one, token), await me(two, token)]).toEqual([401, 401]);
    // A program that still has the old file publishes it again: that does not bring it back.
    const nowMs = one.clock.nowMs + 1000;
    await publishKey(clickhouse.store, third, { nowMs, expiresMs: nowMs + 20 * DAY_MS });
    advance(60_000);
    expect([await me(one, token), await me(two, token)]).toEqual([401, 401]);
    expect(await me(two, (await login(one)).access_token)).toBe(200);
    one.clock.nowMs = two.clock.nowMs = Date.now();
  });
});

describe('refresh tokens', () => {
  it('are exchanged once: a copy used later ends the whole session, at both programs', async () => {
    const first = await login(one);
    const second = await refreshed(two, first.refresh_token);
    await agedUses(decoded(first.refresh_token).claims);
    expect(await me(two, second.access_token)).toBe(200);
    expect(await refresh(one, first.refresh_token)).toBe(401);
    expect(one.telemetry.count('refresh_token_reused')).toBe(1);
    // Neither the thief nor the owner goes on.
    expect(await refresh(two, second.refresh_token)).toBe(401);
    expect(await me(one, second.access_token)).toBe(401);
    advance(20_000);
    expect(await me(two, second.access_token)).toBe(401);
    const audited = "SELECT target, outcome FROM audit WHERE action = 'auth.refresh_reuse'";
    await until(async () => (await clickhouse.store.query(audited)).length > 0);
    expect(await clickhouse.store.query(audited)).toEqual([{ target: 'ann', outcome: 'denied' }]);
    // Another session of the user does.
    await refreshed(two, (await login(one)).refresh_token);
  });

  it('may be exchanged again at once by who lost the answer; of two copies of the next, one ends the session', async () => {
    const { refresh_token: token } = await login(one);
    const [a, b] = await Promise.all([refreshed(one, token), refreshed(two, token)]);
    const { jti } = decoded(a.refresh_token).claims;
    expect(decoded(b.refresh_token).claims['jti']).toBe(jti);
    const next = await refreshed(one, a.refresh_token);
    await agedUses(decoded(a.refresh_token).claims);
    expect(await refresh(two, b.refresh_token)).toBe(401);
    expect(await refresh(one, next.refresh_token)).toBe(401);
  });

  it('may not be exchanged again from another address, however fast', async () => {
    const { refresh_token: token } = await login(one);
    const { sid, jti } = decoded(token).claims;
    const row = { session_id: sid, token_id: jti, address: '203.0.113.9' };
    await clickhouse.store.insertJson('token_uses', [row]);
    expect(await refresh(one, token)).toBe(401);
    expect(await refresh(two, token)).toBe(401);
  });

  it('are not exchanged from two addresses at once, in one program or in two: the session ends', async () => {
    for (const other of [one, one, two, two]) {
      const { refresh_token: token } = await login(one);
      const answers = await Promise.all([
        refreshFrom('127.0.0.2', one, token),
        refreshFrom('127.0.0.3', other, token),
      ]);
      const passed = answers.filter((answer) => typeof answer !== 'number');
      expect(answers).toContain(401);
      for (const { refresh_token: next, access_token: access } of passed) {
        expect(await refresh(one, next)).toBe(401);
        advance(20_000);
        expect(await me(two, access)).toBe(401);
      }
    }
  });

  it('are no access tokens, nor the other way round, and tickets are neither', async () => {
    const { access_token: token, refresh_token: refreshToken } = await login(one);
    const ticket = await newTicket(one, token);
    expect(await me(one, refreshToken)).toBe(401);
    expect(await me(one, ticket)).toBe(401);
    expect(await refresh(one, token)).toBe(401);
    expect(await refresh(one, ticket)).toBe(401);
  });
});

describe('logout', () => {
  it('ends the session at the other program within a minute, and its refresh token at once', async () => {
    const { access_token: token, refresh_token: refreshToken } = await login(one);
    const { access_token: other } = await login(one);
    expect(await me(two, token)).toBe(200);
    expect((await one.post('/auth/logout', '', bearer(token))).status).toBe(204);
    expect(await me(one, token)).toBe(401);
    expect(await refresh(two, refreshToken)).toBe(401);
    two.clock.nowMs += 20_000;
    expect(await me(two, token)).toBe(401);
    expect(await me(two, other)).toBe(200);
  });
});

describe('another password', () => {
  it('needs the current one, ends the other sessions and keeps this one', async () => {
    await one.users.add({ name: 'cleo', password: PASSWORD, role: 'viewer' }, 'test');
    const mine = await login(one, 'cleo');
    const other = await login(two, 'cleo');
    const change = (current: string, next: string) => {
      const body = { current_password: current, new_password: next };
      return one.post('/auth/password', body, bearer(mine.access_token));
    };
    expect((await change('wrong password', 'staple for a donkey')).status).toBe(403);
    expect((await change(PASSWORD, 'short')).status).toBe(422);
    expect((await change(PASSWORD, PASSWORD)).status).toBe(422);
    const answer = await change(PASSWORD, 'staple for a donkey');
    expect(answer.status).toBe(200);
    const fresh = (await answer.json()) as TokenAnswer;
    advance(10_000);
    for (const api of [one, two]) {
      expect(await me(api, fresh.access_token)).toBe(200);
      expect(await me(api, mine.access_token)).toBe(401);
      expect(await me(api, other.access_token)).toBe(401);
      expect(await refresh(api, other.refresh_token)).toBe(401);
    }
    await refreshed(two, fresh.refresh_token);
    await login(two, 'cleo', 'staple for a donkey');
  });

  it('is guessed no faster there than at login', async () => {
    await one.users.add({ name: 'dora', password: PASSWORD, role: 'viewer' }, 'test');
    const { access_token: token } = await login(one, 'dora');
    const guess = () => {
      const body = { current_password: 'guess guess', new_password: 'staple for a donkey' };
      return one.post('/auth/password', body, bearer(token));
    };
    for (let i = 0; i < 5; i++) expect((await guess()).status).toBe(403);
    const refused = await guess();
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    advance(3_600_000);
  });
});

describe('tickets', () => {
  const tails: HttpServer[] = [];
  const bases: string[] = [];

  beforeAll(async () => {
    for (const [api, kind] of [
      [one, 'uws'],
      [two, 'node'],
    ] as const) {
      const tail = tailServer(api, kind);
      tails.push(tail);
      bases.push(`http://127.0.0.1:${await tail.listen()}`);
    }
  });

  afterAll(async () => {
    await Promise.all(tails.map((tail) => tail.stop(1000)));
  });

  const open = async (server: number, query: string, headers = {}): Promise<unknown> => {
    const answer = await fetch(`${bases[server]}${query}`, { headers });
    return answer.status === 200 ? await answer.json() : answer.status;
  };

  it('open one tail at either program, and are not seen by it', async () => {
    const { access_token: token } = await login(one);
    const ticket = await newTicket(one, token);
    expect(await open(1, `/tail?host=a&ticket=${ticket}`)).toEqual({ username: 'ann', query: 'host=a' });
    expect(await open(1, `/tail?host=a&ticket=${ticket}`)).toBe(401);
    expect(await open(0, `/tail?host=a&ticket=${ticket}`)).toBe(401);
    const twice = await newTicket(one, token);
    const both = await Promise.all([open(0, `/tail?ticket=${twice}`), open(1, `/tail?ticket=${twice}`)]);
    expect(both.filter((answer) => answer === 401).length).toBeGreaterThan(0);
  });

  it('open nothing else, and nothing when they are old, doubled, or of an ended session', async () => {
    const { access_token: token } = await login(one);
    const { head, claims } = decoded(await newTicket(one, token));
    const now = Math.floor(Date.now() / 1000);
    const { privatePem } = readSigningKey(one.keys.directory);
    const forge = (changed: object): string => signed(head, { ...claims, ...changed }, privatePem);
    const old = forge({ iat: now - 40, exp: now - 10 });
    const stretched = forge({ iat: now - 40, exp: now + 600 });
    expect(claims).toMatchObject({ exp: (claims['iat'] as number) + 30 });
    expect(await open(0, `/tail?ticket=${old}`)).toBe(401);
    expect(await open(0, `/tail?ticket=${stretched}`)).toBe(401);
    expect(await open(0, `/tail?ticket=${token}`)).toBe(401);
    expect(await open(0, '/tail?ticket=')).toBe(401);
    expect(await open(0, '/tail')).toBe(401);
    const ticket = await newTicket(one, token);
    expect(await open(0, `/tail?ticket=${ticket}&ticket=${ticket}`)).toBe(401);
    expect(await open(0, `/auth/me?ticket=${ticket}`)).toBe(401);
    expect(await open(0, `/no-tail?ticket=${ticket}`)).toBe(401);
    // The way of forging is sound.
    expect(await open(0, `/tail?ticket=${forge({ jti: 'mine' })}`)).toEqual({ username: 'ann', query: '' });
    // None of that used it up; a header goes before it.
    expect(await open(0, `/tail?ticket=${ticket}`, bearer(token))).toEqual({ username: 'ann', query: '' });
    expect((await one.post('/auth/logout', '', bearer(token))).status).toBe(204);
    expect(await open(0, `/tail?ticket=${ticket}`)).toBe(401);
  });

  /** The program's own authentication before a route as a live tail has it. */
  function tailServer({ keys, users, telemetry, clock }: ApiFixture, kind: 'uws' | 'node'): HttpServer {
    const { store } = clickhouse;
    const now = () => clock.nowMs;
    const currentKeys = new CurrentKeys({ keys: new ApiKeyTable(store), telemetry, now });
    const ports = { store, users, keys, currentKeys, telemetry, now };
    const auth = createAuth(ports, { keyRotationMs: DAY_MS * 30 });
    const tail = { method: 'GET', path: '/tail', access: 'read', operation: LIVEZ } as const;
    const front = new Front(
      [
        ...authRoutes(auth),
        {
          ...tail,
          takesTicket: true,
          handle: async ({ principal: { username }, query }: RequestContext) =>
            jsonResponse({ username, query: query.toString() }),
        },
        { ...tail, path: '/no-tail', handle: async () => jsonResponse({}) },
      ],
      { authenticate: (request, how) => authenticate(request, auth, how), telemetry, hasTls: false },
    );
    const handlers = {
      handler: front.handle.bind(front),
      failure: front.failure.bind(front),
    };
    return createHttpServer(
      kind,
      { host: '127.0.0.1', port: 0, requestDeadlineMs: 10_000, ...handlers },
      telemetry,
    );
  }
});

it('goes on with what was read last while ClickHouse does not answer, and says 503 where that is not enough', async () => {
  const { access_token: token } = await login(one);
  expect(await me(one, token)).toBe(200);
  const { head, claims } = decoded(token);
  const unknown = signed({ ...head, kid: 'u'.repeat(43) }, claims, one.keys.signing.privatePem);
  clickhouse.freeze();
  try {
    expect(await me(one, unknown)).toBe(503);
    advance(20_000);
    expect(await me(one, token)).toBe(200);
    advance(60_000);
    expect(await me(one, token)).toBe(503);
  } finally {
    clickhouse.thaw();
  }
  await sleep(100);
  expect(await me(one, unknown)).toBe(401);
});

/** RFC 3339, so far from now on the programs' clock. */
function at(offsetMs: number): string {
  return new Date(one.clock.nowMs + offsetMs).toISOString();
}

async function newTicket(api: ApiFixture, token: string): Promise<string> {
  const answer = await api.post('/auth/ticket', '', bearer(token));
  expect(answer.status).toBe(200);
  const { ticket, expires_in: seconds } = (await answer.json()) as { ticket: string; expires_in: number };
  expect(seconds).toBe(30);
  return ticket;
}

/** As if the token had been used before the time in which that may be repeated. */
async function agedUses({ sid, jti }: Record<string, unknown>): Promise<void> {
  const used_at = new Date(Date.now() - 11_000).toISOString();
  const row = { session_id: sid, token_id: jti, address: '127.0.0.1', used_at };
  await clickhouse.store.insertJson('token_uses', [row]);
}
