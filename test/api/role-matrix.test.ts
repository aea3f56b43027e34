/**
 * Who may do what: every route of the document, asked by every role with and without a scope, with tokens and with
 * keys. On both servers, which are two programs on one ClickHouse: tokens and cursors of one are good at the other.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiKeyTable } from '../../src/api/api-keys/api-keys.ts';
import { type Described, type OpenApi, operationsOf } from '../../src/api/openapi/reference-page.ts';
import type { Role } from '../../src/api/route.ts';
import { readCursorSecret } from '../../src/store/cursor-secret.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type ApiFixture, PASSWORD, startApi } from './api-fixture.ts';
import { insertLogs, insertSources } from './log-rows.ts';

/** What the contract gives to whom. A new route is a new line here. */
const ACCESS = {
  'everybody, without a login': [
    'GET /.well-known/jwks.json',
    'GET /docs',
    'GET /livez',
    'GET /metrics',
    'GET /openapi.json',
    'GET /problems/{code}',
    'GET /readyz',
    'POST /auth/login',
    'POST /auth/refresh',
  ],
  'everybody who is logged in': [
    'GET /auth/me',
    'POST /auth/logout',
    'POST /auth/password',
    'POST /auth/ticket',
  ],
  'admin, analyst, viewer; scoped': [
    'GET /logs',
    'GET /logs/facets',
    'GET /logs/histogram',
    'GET /logs/tail',
    'GET /logs/{id}',
    'GET /metrics/summary',
  ],
  'admin, writer; scoped': ['POST /log', 'POST /logs'],
  'admin, analyst, viewer': ['GET /pipeline/ledger', 'GET /pipeline/status'],
  'admin, analyst': ['GET /dead-letters', 'GET /dead-letters/{id}'],
  admin: [
    'DELETE /api-keys/{id}',
    'DELETE /users/{name}',
    'GET /api-keys',
    'GET /api-keys/{id}',
    'GET /api-keys/{id}/history',
    'GET /audit',
    'GET /users',
    'GET /users/{name}',
    'GET /users/{name}/history',
    'PATCH /api-keys/{id}',
    'PATCH /users/{name}',
    'POST /api-keys',
    'POST /users',
  ],
} as const;

/** Required query parameters. */
const VALUES: Readonly<Record<string, string>> = { field: 'service' };
/** For users, not for keys: these are about a login. */
const OF_LOGINS: ReadonlySet<string> = new Set(['changePassword', 'createTicket', 'logout']);
const MARK = 'outside-7f3a';
const SCOPE = { services: ['mine'] };

interface Asker {
  readonly name: string;
  /** Undefined: nobody that is known. */
  readonly role: Role | undefined;
  readonly isScoped: boolean;
  readonly isKey: boolean;
  readonly headers: Readonly<Record<string, string>>;
}

let clickhouse: TestClickHouse;
let one: ApiFixture;
let two: ApiFixture;
let operations: readonly Described[];
let keys: readonly Asker[];

beforeAll(async () => {
  clickhouse = await startClickHouse();
  const { store } = clickhouse;
  await insertSources(store);
  const ingested_at = new Date().toISOString();
  const timestamp = new Date(Date.now() - 60_000).toISOString();
  const rows = [MARK, MARK, 'mine', 'mine'].map((service) => {
    return {
      timestamp,
      ingested_at,
      service,
      host: `${service}-host`,
      message: `by ${service}`,
      cpu_usage: 1,
    };
  });
  await insertLogs(store, rows);
  one = await startApi('uws', store, { cursorSecret: await readCursorSecret(store) });
  two = await startApi('node', store, { cursorSecret: await readCursorSecret(store) });
  const document = (await (await fetch(`${one.base}/openapi.json`)).json()) as OpenApi;
  // Logging out ends what the others need.
  operations = operationsOf(document).toSorted((a, b) => Number(isLogout(a)) - Number(isLogout(b)));
  for (const role of ['admin', 'analyst', 'viewer', 'writer'] as const) {
    for (const isScoped of scopesOf(role)) {
      const name = nameOf(role, isScoped);
      await one.users.add({ name, password: PASSWORD, role, scope: isScoped ? SCOPE : {} }, 'test');
    }
  }
  keys = await makeKeys(new ApiKeyTable(store));
});

afterAll(async () => {
  await one.stop();
  await two.stop();
  await clickhouse.stop();
});

function isLogout({ operation }: Described): boolean {
  return operation.operationId === 'logout';
}

/** An admin has no scope. */
function scopesOf(role: Role): readonly boolean[] {
  return role === 'admin' ? [false] : [false, true];
}

function nameOf(role: Role, isScoped: boolean): string {
  return isScoped ? `scoped-${role}` : role;
}

async function makeKeys(table: ApiKeyTable): Promise<Asker[]> {
  const askers: Asker[] = [];
  const add = async (name: string, role: Role, isScoped: boolean): Promise<{ id: string; text: string }> => {
    const scope = isScoped ? SCOPE : {};
    const { key, text } = await table.add({ name, role, scope, expiresMs: undefined }, 'test');
    return { id: key.id, text };
  };
  for (const role of ['analyst', 'viewer', 'writer'] as const) {
    for (const isScoped of scopesOf(role)) {
      const name = `key of ${nameOf(role, isScoped)}`;
      const { text } = await add(name, role, isScoped);
      askers.push({ name, role, isScoped, isKey: true, headers: { 'X-API-Key': text } });
    }
  }
  const { id, text } = await add('revoked', 'analyst', false);
  await table.change(id, { isRevoked: true }, { changedBy: 'test', check: () => undefined });
  const nobody = { role: undefined, isScoped: false, isKey: true };
  return [
    ...askers,
    { ...nobody, name: 'nobody', headers: {} },
    { ...nobody, name: 'a made-up token', headers: { Authorization: 'Bearer a.b.c' } },
    { ...nobody, name: 'a revoked key', headers: { 'X-API-Key': text } },
  ];
}

/** Everybody, with tokens of `issuer`. */
async function askersFrom(issuer: ApiFixture): Promise<Asker[]> {
  const users: Asker[] = [];
  for (const role of ['admin', 'analyst', 'viewer', 'writer'] as const) {
    for (const isScoped of scopesOf(role)) {
      const name = nameOf(role, isScoped);
      const answer = await issuer.post('/auth/login', { username: name, password: PASSWORD });
      const { access_token: token } = (await answer.json()) as { access_token: string };
      const headers = { Authorization: `Bearer ${token}` };
      users.push({ name, role, isScoped, isKey: false, headers });
    }
  }
  return [...users, ...keys];
}

/** What the document says of them. */
function expectedStatus(described: Described, { role, isScoped, isKey }: Asker): number {
  const { operation } = described;
  const { 'x-permission': permission, 'x-roles': roles, 'x-scoped': isOpenToScoped } = operation;
  if (permission !== 'public') {
    if (role === undefined) return 401;
    if (!roles.includes(role)) return 403;
    if (isScoped && !isOpenToScoped) return 403;
    if (isKey && OF_LOGINS.has(operation.operationId)) return 403;
  }
  return passedStatus(described);
}

/** Of a request with nothing in its body, about something that is not there. */
function passedStatus({ path, operation }: Described): number {
  if (operation.requestBody !== undefined && !operation.tags.includes('ingest')) return 422;
  if (path.includes('{')) return 404;
  const [first = 0] = Object.keys(operation.responses).map(Number);
  return first;
}

async function ask(base: string, { method, path, operation }: Described, asker: Asker) {
  const required = (operation.parameters ?? []).filter(
    ({ in: place, required }) => place === 'query' && required,
  );
  const query = new URLSearchParams(required.map(({ name }): [string, string] => [name, VALUES[name] ?? '']));
  const body = operation.requestBody === undefined ? {} : { body: '{}' };
  const url = `${base}${path.replaceAll(/\{\w+\}/g, 'x')}?${query.toString()}`;
  const headers = { 'Content-Type': 'application/json', ...asker.headers };
  const ending = new AbortController();
  const answer = await fetch(url, { method, headers, ...body, signal: ending.signal });
  const { status } = answer;
  if (answer.headers.get('content-type') !== 'text/event-stream')
    return { status, text: await answer.text() };
  // It has no end of its own.
  ending.abort();
  return { status, text: '' };
}

it('the document says of every route what the contract says', () => {
  const lines = new Map<string, string[]>();
  for (const { method, path, operation } of operations) {
    const { 'x-permission': permission, 'x-roles': roles, 'x-scoped': isOpenToScoped } = operation;
    let who = `${roles.join(', ')}${isOpenToScoped ? '; scoped' : ''}`;
    if (permission === 'public') who = 'everybody, without a login';
    if (permission === 'signed_in') who = 'everybody who is logged in';
    lines.set(who, [...(lines.get(who) ?? []), `${method} ${path}`].toSorted());
  }
  expect(Object.fromEntries(lines)).toEqual(ACCESS);
});

describe.each([
  { name: 'uWebSockets.js', apiOf: () => one, issuerOf: () => one, versioned: '/api/v1' },
  { name: 'the server of Node', apiOf: () => two, issuerOf: () => two, versioned: '' },
  { name: 'one program with tokens of another', apiOf: () => two, issuerOf: () => one, versioned: '/api/v1' },
])('at $name', ({ apiOf, issuerOf, versioned }) => {
  it('every role, with a scope and without one, is given what is its own on every route', async () => {
    const askers = await askersFrom(issuerOf());
    const wrong: string[] = [];
    let cells = 0;
    let marked = 0;
    for (const described of operations) {
      const base = apiOf().base + (described.base === '' ? '' : versioned);
      for (const asker of askers) {
        const { status, text } = await ask(base, described, asker);
        const expected = expectedStatus(described, asker);
        const cell = `${described.method} ${described.path} as ${asker.name}`;
        if (status !== expected) wrong.push(`${cell}: ${status}, not ${expected}: ${text.slice(0, 200)}`);
        const isMarked = text.includes(MARK);
        if (isMarked && asker.isScoped) wrong.push(`${cell}: shows what is outside of the scope`);
        marked += Number(isMarked);
        cells += 1;
      }
    }
    expect(wrong).toEqual([]);
    expect(cells).toBe(operations.length * 16);
    // Those without a scope see it: in lists, facets and sums, as five askers each.
    expect(marked).toBeGreaterThanOrEqual(15);
  }, 120_000);
});

it('a walk goes on at another program, in the same scope only', async () => {
  const authorization = async (api: ApiFixture, name: string): Promise<Record<string, string>> => {
    const answer = await api.post('/auth/login', { username: name, password: PASSWORD });
    const { access_token: token } = (await answer.json()) as { access_token: string };
    return { Authorization: `Bearer ${token}` };
  };
  const viewer = await authorization(one, 'viewer');
  const scoped = await authorization(two, 'scoped-viewer');
  const page = async (api: ApiFixture, headers: Record<string, string>, cursor?: string | null) => {
    const query = new URLSearchParams({ limit: '1', ...(typeof cursor === 'string' && { cursor }) });
    const answer = await fetch(`${api.base}/logs?${query.toString()}`, { headers });
    const body = (await answer.json()) as { data: { id: string }[]; page: { next: string | null } };
    return { status: answer.status, ...body };
  };
  const ids: string[] = [];
  const others: number[] = [];
  let cursor: string | null | undefined;
  for (let i = 0; i < 4; i++) {
    const { status, data, page: place } = await page(i % 2 === 0 ? one : two, viewer, cursor);
    expect(status).toBe(200);
    ids.push(...data.map(({ id }) => id));
    others.push((await page(two, scoped, place.next)).status);
    cursor = place.next;
  }
  expect(cursor).toBeNull();
  expect(new Set(ids).size).toBe(4);
  // At last without a cursor.
  expect(others).toEqual([400, 400, 400, 200]);
});
