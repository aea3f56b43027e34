/**
 * Login, tokens, roles, and the shape of every refusal, on both servers.
 */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadApiKeys } from '../../src/api/auth/key-files.ts';
import { signLocalToken } from '../../src/api/auth/tokens.ts';
import { createUsers } from '../../src/api/auth/users.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type ApiFixture, PASSWORD, SERVERS, startApi } from './api-fixture.ts';
import { encode, signed, signedWithSecret } from './forge.ts';

interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: string;
  readonly expires_in: number;
  readonly refresh_token: string;
}

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
});

afterAll(async () => {
  await clickhouse.stop();
});

describe.each(SERVERS)('authentication on %s', (kind) => {
  let api: ApiFixture;

  beforeAll(async () => {
    await clickhouse.store.command('TRUNCATE TABLE users');
    api = await startApi(kind, clickhouse.store);
    await api.users.add({ name: 'ann', password: PASSWORD, role: 'analyst' }, 'test');
  });

  beforeEach(() => {
    // Past every back-off of the test before.
    api.clock.nowMs += 3_600_000;
  });

  afterAll(async () => {
    await api.stop();
  });

  const login = async (username = 'ann', password = PASSWORD): Promise<TokenAnswer> => {
    const answer = await api.post('/auth/login', { username, password });
    expect(answer.status).toBe(200);
    return (await answer.json()) as TokenAnswer;
  };

  const me = (token: string): Promise<Response> =>
    fetch(`${api.base}/auth/me`, { headers: { Authorization: `Bearer ${token}` } });

  it('logs in and knows who asks, versioned and not', async () => {
    const answer = await login();
    expect(answer).toMatchObject({ token_type: 'Bearer', expires_in: 900 });
    for (const path of ['/auth/me', '/api/v1/auth/me']) {
      const headers = { Authorization: `Bearer ${answer.access_token}` };
      const response = await fetch(api.base + path, { headers });
      expect(await response.json()).toEqual({ username: 'ann', role: 'analyst' });
    }
  });

  it('answers a wrong user like a wrong password, in about the same time', async () => {
    const timed = async (username: string): Promise<{ ms: number; status: number; detail: unknown }> => {
      const startMs = performance.now();
      const answer = await api.post('/auth/login', { username, password: 'wrong password' });
      const ms = performance.now() - startMs;
      const { detail } = (await answer.json()) as { detail: unknown };
      return { ms, status: answer.status, detail };
    };
    await timed('ann');
    await timed('nobody');
    const known = await timed('ann');
    const unknown = await timed('nobody');
    expect(known).toMatchObject({ status: 401, detail: unknown.detail });
    expect(unknown.status).toBe(401);
    // A hash takes tens of milliseconds: without it the unknown user would answer in a few.
    expect(unknown.ms).toBeGreaterThan(known.ms / 3);
  });

  it('slows guessing down without locking others out', async () => {
    const guess = (): Promise<Response> =>
      api.post('/auth/login', { username: 'ann', password: 'guess guess' });
    for (let i = 0; i < 5; i++) expect((await guess()).status).toBe(401);
    const refused = await guess();
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    // The right password waits too, another user does not.
    expect((await api.post('/auth/login', { username: 'ann', password: PASSWORD })).status).toBe(429);
    expect((await api.post('/auth/login', { username: 'bob', password: 'guess guess' })).status).toBe(401);
    api.clock.nowMs += 10_000;
    await login();
  });

  it.each([
    ['no token', ''],
    ['nonsense', 'Bearer abc'],
    ['another scheme', 'Basic YW5uOng='],
    ['an empty token', 'Bearer '],
  ])('refuses %s', async (_name, authorization) => {
    const headers: Record<string, string> = authorization === '' ? {} : { Authorization: authorization };
    const answer = await fetch(`${api.base}/auth/me`, { headers });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  it('refuses tokens that were changed, forged, expired, incomplete or meant for something else', async () => {
    const { access_token: token, refresh_token: refreshToken } = await login();
    const [header = '', payload = '', signature = ''] = token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    const head = JSON.parse(Buffer.from(header, 'base64url').toString()) as Record<string, unknown>;
    const { privatePem, publicPem } = api.keys.signing;
    const foreign = generateKeyPairSync('ed25519')
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString();
    const foreignId = 'f'.repeat(43);
    const now = Math.floor(Date.now() / 1000);
    const { exp: _exp, ...endless } = claims;
    const { jti: _jti, ...nameless } = claims;
    const { iat: _iat, ...dateless } = claims;
    const forged: Record<string, string> = {
      'another role': `${header}.${encode({ ...claims, role: 'admin' })}.${signature}`,
      'a flipped bit': `${token.slice(0, -10)}${token.at(-10) === 'A' ? 'B' : 'A'}${token.slice(-9)}`,
      'no signature': `${header}.${payload}.`,
      'alg none': `${encode({ ...head, alg: 'none' })}.${payload}.`,
      'alg HS256 with the public key': signedWithSecret({ ...head, alg: 'HS256' }, claims, publicPem),
      'alg HS256 and a key id of its own': signedWithSecret({ alg: 'HS256', kid: 'x' }, claims, publicPem),
      'an array of algorithms': signed({ ...head, alg: ['EdDSA'] }, claims, privatePem),
      'a key in its head': signed({ ...head, jwk: { kty: 'OKP' }, kid: foreignId }, claims, foreign),
      'a key at an address': signed({ ...head, jku: 'http://127.0.0.1:1/', kid: foreignId }, claims, foreign),
      'an unknown critical header': signed({ ...head, crit: ['x'], x: 1 }, claims, privatePem),
      'another key': signed(head, claims, foreign),
      'another key and its id': signed({ ...head, kid: foreignId }, claims, foreign),
      'an unknown key id': signed({ ...head, kid: 'unknown' }, claims, privatePem),
      'a key id of Object': signed({ ...head, kid: '__proto__' }, claims, privatePem),
      'no key id': signed({ alg: 'EdDSA', typ: 'JWT' }, claims, privatePem),
      expired: signed(head, { ...claims, iat: now - 1000, exp: now - 10 }, privatePem),
      'without exp': signed(head, endless, privatePem),
      'without iat': signed(head, dateless, privatePem),
      'older than any, but not expired': signed(
        head,
        { ...claims, iat: now - 3600, exp: now + 60 },
        privatePem,
      ),
      'an exp that is no number': signed(head, { ...claims, exp: 'never' }, privatePem),
      'not valid yet': signed(head, { ...claims, nbf: now + 600 }, privatePem),
      'without jti': signed(head, nameless, privatePem),
      'another issuer': signed(head, { ...claims, iss: 'other' }, privatePem),
      'another audience': signed(head, { ...claims, aud: 'other' }, privatePem),
      'an unknown role': signed(head, { ...claims, role: 'root' }, privatePem),
      'a role that the user has not': signed(head, { ...claims, role: 'admin' }, privatePem),
      'an older version': signed(head, { ...claims, ver: 1 }, privatePem),
      'no version': signed(head, { ...claims, ver: undefined }, privatePem),
      'a user that is not there': signed(head, { ...claims, sub: 'nobody' }, privatePem),
      'a refresh token': refreshToken,
    };
    const accepted: string[] = [];
    for (const [name, text] of Object.entries(forged)) {
      if ((await me(text)).status !== 401) accepted.push(name);
    }
    expect(accepted).toEqual([]);
    // The way of forging is sound: with the right key and claims it is accepted.
    expect((await me(signed(head, claims, privatePem))).status).toBe(200);
  });

  it('refreshes, but not with an access token, and not after the password was changed', async () => {
    await api.users.add({ name: 'cleo', password: PASSWORD, role: 'viewer' }, 'test');
    const first = await login('cleo');
    const refresh = (token: string): Promise<Response> => api.post('/auth/refresh', { refresh_token: token });
    const answer = await refresh(first.refresh_token);
    expect(answer.status).toBe(200);
    const second = (await answer.json()) as TokenAnswer;
    expect((await me(second.access_token)).status).toBe(200);
    expect((await refresh(first.access_token)).status).toBe(401);
    await api.users.setPassword('cleo', 'another password', 'test');
    expect((await refresh(second.refresh_token)).status).toBe(401);
    await login('cleo', 'another password');
    expect((await api.post('/auth/login', { username: 'cleo', password: PASSWORD })).status).toBe(401);
  });

  it('ends access tokens within ten seconds of another password, role or a lock', async () => {
    const rows = (name: string, version: number, changed: object) =>
      clickhouse.store.insertJson('users', [{ name, version, password_hash: '', ...changed }]);
    const grants = JSON.stringify([{ role: 'analyst' }]);
    const changes: Record<string, (name: string) => Promise<void>> = {
      password: (name) => api.users.setPassword(name, 'another password', 'test'),
      role: (name) => rows(name, Date.now() * 1000 + 1e6, { grants }),
      lock: (name) => rows(name, Date.now() * 1000 + 1e6, { grants, is_disabled: true }),
    };
    for (const [name, change] of Object.entries(changes)) {
      await api.users.add({ name, password: PASSWORD, role: 'viewer' }, 'test');
      const { access_token: token } = await login(name);
      expect([name, (await me(token)).status]).toEqual([name, 200]);
      await change(name);
      api.clock.nowMs += 10_000;
      expect([name, (await me(token)).status]).toEqual([name, 401]);
    }
    const { access_token: fresh } = await login('password', 'another password');
    expect((await me(fresh)).status).toBe(200);
  });

  it('takes tokens that the command line signed for itself', async () => {
    const token = signLocalToken(api.keys.signing, 'admin');
    expect(await (await me(token)).json()).toEqual({ username: 'command-line', role: 'admin' });
    const headers = { Authorization: `Bearer ${token}` };
    const passwords = { current_password: PASSWORD, new_password: 'another password' };
    expect((await api.post('/auth/password', passwords, headers)).status).toBe(403);
    expect((await api.post('/auth/ticket', {}, headers)).status).toBe(403);
  });

  it('ends the session with logout', async () => {
    const { access_token: token, refresh_token: refreshToken } = await login();
    const headers = { Authorization: `Bearer ${token}` };
    expect((await fetch(`${api.base}/auth/logout`, { method: 'POST', headers })).status).toBe(204);
    expect((await me(token)).status).toBe(401);
    expect((await api.post('/auth/refresh', { refresh_token: refreshToken })).status).toBe(401);
  });

  it('lets each role do its part only', async () => {
    const table = { admin: [200, 200], analyst: [403, 200], viewer: [403, 200], writer: [200, 403] } as const;
    for (const [role, [postStatus, getStatus]] of Object.entries(table)) {
      const token = await api.token(role as keyof typeof table);
      const posted = await api.post('/logs', '{"message":"x"}', { Authorization: `Bearer ${token}` });
      expect([role, 'post', posted.status]).toEqual([role, 'post', postStatus]);
      const read = await api.get('/logs?limit=1', role as keyof typeof table);
      expect([role, 'get', read.status]).toEqual([role, 'get', getStatus]);
    }
  });

  it('refuses in problem+json with the request id, and says nothing of the inside', async () => {
    const answer = await fetch(`${api.base}/nowhere`, { headers: { 'X-Request-Id': 'my-id.1' } });
    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.headers.get('x-request-id')).toBe('my-id.1');
    expect(await answer.json()).toMatchObject({ title: 'Not found', status: 404, request_id: 'my-id.1' });
    const odd = await fetch(`${api.base}/livez`, { headers: { 'X-Request-Id': 'a b<script>' } });
    expect(odd.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(odd.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('knows the methods of a path', async () => {
    const answer = await fetch(`${api.base}/logs`, { method: 'DELETE' });
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('GET, HEAD, OPTIONS, POST');
    expect((await fetch(`${api.base}/logs`, { method: 'OPTIONS' })).status).toBe(204);
    expect((await fetch(`${api.base}/api/v1/livez`)).status).toBe(404);
    expect((await fetch(`${api.base}/livez/`)).status).toBe(404);
    expect((await fetch(`${api.base}/livez`, { method: 'HEAD' })).status).toBe(200);
  });

  it.each([
    ['no JSON', '{"username":', 400],
    ['an array', '[]', 422],
    ['a number as name', '{"username":1,"password":"x"}', 422],
    ['no password', '{"username":"ann"}', 422],
    ['a huge body', `{"username":"${'a'.repeat(70_000)}"}`, 413],
  ])('refuses a login with %s', async (_name, body, status) => {
    expect((await api.post('/auth/login', body)).status).toBe(status);
  });

  it('refuses a login that is not JSON by its type', async () => {
    const answer = await api.post('/auth/login', 'username=ann', {
      'Content-Type': 'application/x-www-form-urlencoded',
    });
    expect(answer.status).toBe(415);
  });
});

describe('users', () => {
  it('makes admin once, with a password that is told only then', async () => {
    await clickhouse.store.command('TRUNCATE TABLE users');
    const users = createUsers(clickhouse.store);
    const password = await users.ensureAdmin();
    expect(password).toMatch(/^[\w-]{24}$/);
    expect(await users.ensureAdmin()).toBeUndefined();
    expect(await users.verify('admin', password ?? '')).toMatchObject({ name: 'admin', role: 'admin' });
    const [row] = await clickhouse.store.query<{ password_hash: string }>('SELECT * FROM users');
    expect(row?.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  });

  it('takes the given first password and keeps it to itself', async () => {
    await clickhouse.store.command('TRUNCATE TABLE users');
    const users = createUsers(clickhouse.store);
    expect(await users.ensureAdmin('chosen by the operator')).toBeUndefined();
    expect(await users.verify('admin', 'chosen by the operator')).toBeDefined();
  });

  it('keeps versions, lists the last of each, refuses what cannot be', async () => {
    const users = createUsers(clickhouse.store);
    await users.add({ name: 'dora', password: PASSWORD, role: 'writer' }, 'test');
    await users.setPassword('dora', 'a new password', 'test');
    expect(await users.list()).toMatchObject([{ name: 'admin' }, { name: 'dora', role: 'writer' }]);
    const refusals = [
      users.add({ name: 'dora', password: PASSWORD, role: 'viewer' }, 'test'),
      users.add({ name: 'no spaces', password: PASSWORD, role: 'viewer' }, 'test'),
      users.add({ name: 'eve', password: 'short', role: 'viewer' }, 'test'),
      users.add({ name: 'eve', password: PASSWORD, role: 'root' as 'admin' }, 'test'),
      users.setPassword('nobody', PASSWORD, 'test'),
    ];
    const codes = (await Promise.allSettled(refusals)).map((result) =>
      result.status === 'rejected' ? (result.reason as { code: string }).code : 'accepted',
    );
    expect(codes).toEqual(['already_exists', ...Array<string>(3).fill('unprocessable'), 'not_found']);
    const [{ count } = { count: 0 }] = await clickhouse.store.query<{ count: number }>(
      "SELECT count() AS count FROM users WHERE name = 'dora'",
    );
    expect(count).toBe(2);
  });
});

describe('keys', () => {
  it('makes keys once, for the owner only, and refuses files that others can read', () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-keys-'));
    const first = loadApiKeys(directory);
    expect(loadApiKeys(directory).signing).toEqual(first.signing);
    expect(createPrivateKey(first.signing.privatePem).asymmetricKeyType).toBe('ed25519');
    const path = join(directory, 'token-signing.pem');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    chmodSync(path, 0o640);
    expect(() => loadApiKeys(directory)).toThrow(/chmod 600/);
    chmodSync(path, 0o600);
    writeFileSync(path, 'garbage');
    expect(() => loadApiKeys(directory)).toThrow(/cannot be used/);
    rmSync(directory, { recursive: true });
  });
});
