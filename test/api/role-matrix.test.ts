/**
 * Who may do what: every route of the document, asked by every role with and without a scope, with tokens and with
 * keys. On both servers, which are two programs on one ClickHouse: tokens and cursors of one are good at the other.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiKeyTable } from '../../src/api/api-keys/api-keys.ts';
import type { Described } from '../../src/api/openapi/reference-page.ts';
import { readCursorSecret } from '../../src/store/cursor-secret.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type ApiFixture, PASSWORD, startApi } from './api-fixture.ts';
import { type Asker, addKeys, logInAll, prepareMatrix, readOperations, walkMatrix } from './role-matrix.ts';

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

let clickhouse: TestClickHouse;
let one: ApiFixture;
let two: ApiFixture;
let operations: readonly Described[];
let keys: readonly Asker[];

beforeAll(async () => {
  clickhouse = await startClickHouse();
  const { store } = clickhouse;
  one = await startApi('uws', store, { cursorSecret: await readCursorSecret(store) });
  two = await startApi('node', store, { cursorSecret: await readCursorSecret(store) });
  await prepareMatrix(store, one.users);
  operations = await readOperations(one.base);
  keys = await addKeys(new ApiKeyTable(store));
});

afterAll(async () => {
  await one.stop();
  await two.stop();
  await clickhouse.stop();
});

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
    const askers = [...(await logInAll(issuerOf().base)), ...keys];
    const { base } = apiOf();
    const { wrong, cells, marked } = await walkMatrix({ base, versioned, operations, askers });
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
