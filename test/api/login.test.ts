/**
 * Logging in over the network: who waits, what the time tells, and what is written down.
 */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { KnownAddresses } from '../../src/api/auth/known-addresses.ts';
import { createServiceTelemetry } from '../../src/telemetry-service.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type ApiFixture, PASSWORD, startApi } from './api-fixture.ts';
import { decoded } from './forge.ts';

vi.setConfig({ testTimeout: 120_000 });

let clickhouse: TestClickHouse;
let api: ApiFixture;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  api = await startApi('uws', clickhouse.store);
  await api.users.add({ name: 'admin', password: PASSWORD, role: 'admin' }, 'test');
});

beforeEach(() => {
  // Past every back-off of the test before.
  api.clock.nowMs += 3_600_000;
});

afterAll(async () => {
  await api.stop();
  await clickhouse.stop();
});

/** Status of a login from an address of this machine. */
async function loginFrom(localAddress: string, password: string, username = 'admin'): Promise<number> {
  const options = { method: 'POST', localAddress, headers: { 'Content-Type': 'application/json' } };
  const sent = request(`${api.base}/auth/login`, options);
  sent.end(JSON.stringify({ username, password }));
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.resume();
  return answer.statusCode ?? 0;
}

it('lets the admin in from anywhere while one address is locked out, and remembers where from', async () => {
  expect(await loginFrom('127.0.0.2', PASSWORD)).toBe(200);
  for (let i = 0; i < 5; i++) expect(await loginFrom('127.0.0.66', 'guess guess')).toBe(401);
  expect(await loginFrom('127.0.0.66', 'guess guess')).toBe(429);
  expect(await loginFrom('127.0.0.66', PASSWORD)).toBe(429);
  expect(await loginFrom('127.0.0.2', PASSWORD)).toBe(200);
  expect(await loginFrom('127.0.0.3', PASSWORD)).toBe(200);
  // As another program on this database, or this one after a restart, sees it.
  const known = new KnownAddresses({ store: clickhouse.store, telemetry: api.telemetry, now: Date.now });
  const isKnown = (address: string, username = 'admin') => known.has({ username, address });
  expect([await isKnown('127.0.0.2'), await isKnown('127.0.0.3')]).toEqual([true, true]);
  expect([await isKnown('127.0.0.66'), await isKnown('127.0.0.2', 'ann')]).toEqual([false, false]);
});

it('takes the same time for a wrong user as for a wrong password', async () => {
  const timed = async (username: string): Promise<number> => {
    api.clock.nowMs += 3_600_000;
    const startMs = performance.now();
    expect(await loginFrom('127.0.0.4', 'wrong password', username)).toBe(401);
    return performance.now() - startMs;
  };
  await timed('admin');
  await timed('nobody');
  const ratios: number[] = [];
  for (let i = 0; i < 11; i++) ratios.push((await timed('admin')) / (await timed('nobody')));
  // Without a hash for the unknown user the median would be about ten.
  const median = ratios.toSorted((a, b) => a - b)[5] ?? 0;
  expect(median).toBeGreaterThan(0.6);
  expect(median).toBeLessThan(1.7);
});

it('writes no password, token, ticket or key to log, metrics or answers that refuse', async () => {
  const secrets = new Set([PASSWORD, 'a wrong secret', 'a new secret', api.keys.signing.privatePem]);
  const answers: string[] = [];
  const post = async (path: string, body: unknown, token?: string) => {
    const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const answer = await api.post(path, body, headers);
    const text = await answer.text();
    if (answer.status >= 400) answers.push(text);
    return { status: answer.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, string>) };
  };
  const login = { username: 'admin', password: PASSWORD };
  const { body: pair } = await post('/auth/login', login);
  const { access_token: token = '', refresh_token: refreshToken = '' } = pair;
  const { ticket = '' } = (await post('/auth/ticket', {}, token)).body;
  const { access_token: second = '' } = (await post('/auth/login', login)).body;
  for (const secret of [token, refreshToken, ticket, second]) {
    expect(secret.length).toBeGreaterThan(100);
    secrets.add(secret);
  }
  expect((await post('/auth/login', { username: 'admin', password: 'a wrong secret' })).status).toBe(401);
  const passwords = { current_password: 'a wrong secret', new_password: 'a new secret' };
  expect((await post('/auth/password', passwords, token)).status).toBe(403);
  expect((await post('/auth/refresh', { refresh_token: `${refreshToken}x` })).status).toBe(401);
  expect((await post('/auth/refresh', { refresh_token: refreshToken })).status).toBe(200);
  const [sid, jti] = ['sid', 'jti'].map((name) => decoded(refreshToken).claims[name]);
  const used_at = new Date(Date.now() - 11_000).toISOString();
  const other = { session_id: sid, token_id: jti, address: 'other', used_at };
  await clickhouse.store.insertJson('token_uses', [other]);
  expect((await post('/auth/refresh', { refresh_token: refreshToken })).status).toBe(401);
  for (const path of ['/auth/me', '/logs', '/nowhere', '/livez']) {
    const answer = await fetch(`${api.base}${path}?ticket=${ticket}`);
    answers.push(await answer.text());
  }
  // What fails inside is logged with its reason.
  for (const table of ['users', 'token_uses', 'ended_sessions']) {
    await clickhouse.store.command(`RENAME TABLE ${table} TO ${table}_away`);
  }
  expect((await post('/auth/login', login)).status).toBe(500);
  expect((await post('/auth/refresh', { refresh_token: refreshToken })).status).toBe(500);
  expect((await post('/auth/logout', {}, second)).status).toBe(503);
  for (const table of ['users', 'token_uses', 'ended_sessions']) {
    await clickhouse.store.command(`RENAME TABLE ${table}_away TO ${table}`);
  }
  const names = api.telemetry.events.map(({ event }) => event);
  for (const name of ['login_failed', 'request_failed', 'refresh_token_reused'])
    expect(names).toContain(name);

  let log = '';
  const stream = { write: (line: string) => (log += line) };
  const telemetry = createServiceTelemetry({ level: 'debug', isPretty: false, stream });
  for (const { event, fields } of api.telemetry.events) telemetry.emit(event, fields);
  telemetry.flush();
  expect(log).toContain('login failed');
  // The fields as they were handed over, too: not only what the logger takes out by its own rules.
  const written = [log, await telemetry.render(), JSON.stringify(api.telemetry.events), ...answers].join(
    '\n',
  );
  const leaked = [...secrets].filter((secret) => written.includes(secret));
  expect(leaked).toEqual([]);
  expect(written).not.toContain('$argon2id$');
  expect(written).not.toContain('PRIVATE KEY');
});
