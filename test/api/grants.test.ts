/**
 * Users, API keys and the audit over HTTP: two instances of the API, one on each server, on one ClickHouse.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { until } from '../support/until.ts';
import { type ApiFixture, PASSWORD, startApi } from './api-fixture.ts';

let clickhouse: TestClickHouse;
let first: ApiFixture;
let second: ApiFixture;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  const cursorSecret = Buffer.alloc(32, 7);
  first = await startApi('uws', clickhouse.store, { cursorSecret });
  second = await startApi('node', clickhouse.store, { cursorSecret });
});

afterAll(async () => {
  await first.stop();
  await second.stop();
  await clickhouse.stop();
});

beforeEach(() => {
  // Past every back-off and every row that is remembered.
  for (const { clock } of [first, second]) clock.nowMs += 60_000;
});

interface Answer {
  readonly status: number;
  readonly etag: string;
  readonly headers: Headers;
  readonly body: any; // oxlint-disable-line typescript/no-explicit-any
}

interface Sent {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** As an admin, or with the Authorization that `headers` give. */
async function send(api: ApiFixture, route: string, { body, headers = {} }: Sent = {}): Promise<Answer> {
  const [method = '', path = ''] = route.split(' ');
  const answer = await fetch(api.base + path, {
    method,
    headers: {
      Authorization: `Bearer ${await api.token('admin')}`,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return {
    status: answer.status,
    etag: answer.headers.get('etag') ?? '',
    headers: answer.headers,
    body: text === '' ? undefined : JSON.parse(text),
  };
}

const addUser = (username: string, more: object = {}) =>
  send(first, 'POST /users', { body: { username, password: PASSWORD, role: 'viewer', ...more } });

const login = async (api: ApiFixture, username: string): Promise<string> => {
  const answer = await api.post('/auth/login', { username, password: PASSWORD });
  return ((await answer.json()) as { access_token: string }).access_token;
};

const meAs = (api: ApiFixture, authorization: string) =>
  send(api, 'GET /auth/me', { headers: { Authorization: authorization } });

describe('users', () => {
  it('are added, read, changed and removed by version', async () => {
    const scope = { services: ['web'], environments: ['prod'] };
    const added = await addUser('ann', { role: 'analyst', scope });
    expect(added.status).toBe(201);
    expect(added.headers.get('location')).toBe('/api/v1/users/ann');
    const shown = { username: 'ann', role: 'analyst', scope, disabled: false, changed_by: 'the-admin' };
    expect(added.body).toMatchObject(shown);
    expect(JSON.stringify(added.body)).not.toContain('argon');
    const again = await addUser('ann');
    expect([again.status, again.body.code, again.headers.get('retry-after')]).toEqual([
      409,
      'already_exists',
      null,
    ]);
    const read = await send(second, 'GET /api/v1/users/ann');
    expect([read.status, read.etag, read.body]).toEqual([200, added.etag, added.body]);

    const headers = { 'If-Match': added.etag };
    const changed = await send(second, 'PATCH /users/ann', { body: { scope: {} }, headers });
    expect([changed.status, changed.body.scope, changed.body.role]).toEqual([200, {}, 'analyst']);
    expect(changed.etag).not.toBe(added.etag);
    const late = await send(first, 'PATCH /users/ann', { body: { role: 'viewer' }, headers });
    expect([late.status, late.body.code]).toEqual([412, 'precondition_failed']);
    expect((await send(first, 'DELETE /users/ann', { headers })).status).toBe(412);
    expect((await send(first, 'DELETE /users/ann', { headers: { 'If-Match': '*' } })).status).toBe(204);
    for (const route of ['GET /users/ann', 'DELETE /users/ann']) {
      expect([route, (await send(second, route)).status]).toEqual([route, 404]);
    }
    expect((await second.post('/auth/login', { username: 'ann', password: PASSWORD })).status).toBe(401);
    const history = await send(second, 'GET /users/ann/history');
    expect(history.body.data.map((one: { removed: boolean }) => one.removed)).toEqual([true, false, false]);
    // The name is free again.
    expect((await addUser('ann')).status).toBe(201);
    expect((await send(second, 'GET /users/ann')).body).toMatchObject({ role: 'viewer', scope: {} });
  });

  it('are listed page by page', async () => {
    for (const name of ['list-a', 'list-b', 'list-c']) await addUser(name);
    const names: string[] = [];
    let path = '/users?limit=2';
    for (let page = 0; page < 20 && path !== ''; page++) {
      const { body } = await send(first, `GET ${path}`);
      names.push(...body.data.map((one: { username: string }) => one.username));
      path = body.page.next === null ? '' : `/users?limit=2&cursor=${body.page.next}`;
    }
    expect(names).toEqual([...new Set(names)].toSorted());
    expect(names).toEqual(expect.arrayContaining(['list-a', 'list-b', 'list-c', 'the-admin']));
    const { body } = await send(first, 'GET /users?limit=1');
    const flipped = `${body.page.next.slice(0, -1)}${body.page.next.endsWith('A') ? 'B' : 'A'}`;
    expect((await send(first, `GET /users?limit=1&cursor=${flipped}`)).status).toBe(400);
  });

  it('keep both of two changes at once through two instances: the later wins and the history shows both', async () => {
    const added = await addUser('twice');
    const headers = { 'If-Match': added.etag };
    const change = (api: ApiFixture, role: string) =>
      send(api, 'PATCH /users/twice', { body: { role }, headers });
    const answers = await Promise.all([change(first, 'writer'), change(second, 'analyst')]);
    // Whoever looked before the other one wrote went through.
    const changed = answers.filter(({ status }) => status === 200);
    expect(changed.length).toBeGreaterThan(0);
    expect(answers.every(({ status }) => status === 200 || status === 412)).toBe(true);
    const history = (await send(first, 'GET /users/twice/history')).body.data as { role: string }[];
    const roles = history.map(({ role }) => role);
    const asked = changed.length === 2 ? ['analyst', 'writer'] : [changed[0]?.body.role as string];
    expect(roles.slice(0, -1).toSorted()).toEqual(asked);
    expect(roles.at(-1)).toBe('viewer');
    for (const api of [first, second]) {
      const now = await send(api, 'GET /users/twice');
      expect(now.body).toEqual({ ...now.body, role: roles[0] });
      expect(changed.map(({ etag }) => etag)).toContain(now.etag);
      const late = await send(api, 'PATCH /users/twice', { body: { disabled: true }, headers });
      expect(late.status).toBe(412);
    }
  });

  it('have a history that is read page by page, as keys have', async () => {
    await addUser('moved');
    const added = await send(first, 'POST /api-keys', { body: { name: 'v0', role: 'writer' } });
    for (const role of ['analyst', 'writer', 'viewer', 'analyst']) {
      await send(first, 'PATCH /users/moved', { body: { role } });
      await send(first, `PATCH /api-keys/${added.body.id}`, { body: { name: role } });
    }
    for (const path of ['/users/moved/history', `/api-keys/${added.body.id}/history`]) {
      const all = (await send(first, `GET ${path}`)).body;
      expect([all.data.length, all.page.next]).toEqual([5, null]);
      const read: unknown[] = [];
      const sizes: number[] = [];
      for (let query = '?limit=2'; query !== ''; ) {
        const { status, body } = await send(second, `GET ${path}${query}`);
        expect(status).toBe(200);
        read.push(...body.data);
        sizes.push(body.data.length);
        query = body.page.next === null ? '' : `?limit=2&cursor=${body.page.next}`;
      }
      expect(sizes).toEqual([2, 2, 1]);
      expect(read).toEqual(all.data);
      const { body } = await send(first, `GET ${path}?limit=1`);
      const other = await send(first, `GET /users/the-admin/history?cursor=${body.page.next}`);
      expect(other.status).toBe(400);
    }
  });

  it('lose their tokens everywhere when they are disabled, changed or removed', async () => {
    await addUser('gone');
    const tokens = [await login(first, 'gone'), await login(second, 'gone')];
    const statuses = async () => [
      (await meAs(first, `Bearer ${tokens[0]}`)).status,
      (await meAs(second, `Bearer ${tokens[1]}`)).status,
    ];
    expect(await statuses()).toEqual([200, 200]);
    expect((await send(first, 'PATCH /users/gone', { body: { disabled: true } })).status).toBe(200);
    second.clock.nowMs += 10_000;
    expect(await statuses()).toEqual([401, 401]);
    expect((await second.post('/auth/login', { username: 'gone', password: PASSWORD })).status).toBe(401);
  });

  it('always leave an admin', async () => {
    // Only the-admin may manage: the others of this file have other roles.
    for (const body of [{ disabled: true }, { role: 'viewer' }]) {
      const answer = await send(first, 'PATCH /users/the-admin', { body });
      expect([answer.status, answer.body.code]).toEqual([422, 'unprocessable']);
    }
    expect((await send(first, 'DELETE /users/the-admin')).status).toBe(422);
    expect((await send(second, 'GET /users/the-admin')).body).toMatchObject({
      role: 'admin',
      disabled: false,
    });
    // Two admins that end each other at the same time do not both go.
    await addUser('deputy', { role: 'admin' });
    await Promise.all([
      send(first, 'PATCH /users/deputy', { body: { disabled: true } }),
      send(second, 'PATCH /users/the-admin', { body: { role: 'viewer' } }),
    ]);
    const admins = (await first.users.list()).filter(
      ({ role, isDisabled }) => role === 'admin' && !isDisabled,
    );
    expect(admins.length).toBeGreaterThan(0);
    for (const name of ['deputy', 'the-admin']) {
      await first.users.change(name, { role: 'admin', isDisabled: false }, { changedBy: 'test' });
    }
    await first.users.remove('deputy', { changedBy: 'test' });
    for (const api of [first, second]) api.forgetTokens();
  });

  it.each<[string, object]>([
    ['an unknown role', { role: 'root' }],
    ['an unknown field', { admin: true }],
    ['a scope for an admin', { role: 'admin', scope: { hosts: ['a'] } }],
    ['an empty list', { scope: { hosts: [] } }],
    ['an unknown list', { scope: { users: ['a'] } }],
    ['a short password', { password: 'short' }],
    ['a name with a line end', { username: 'a\r\nb' }],
    ['a name of the kind of keys', { username: 'key:abc' }],
  ])('are refused with %s', async (_name, more) => {
    expect((await addUser('refused', more)).status).toBe(422);
  });

  it('are for admins only', async () => {
    const routes = ['GET /users', 'POST /users', 'GET /users/ann', 'PATCH /users/ann', 'DELETE /users/ann'];
    const keyRoutes = routes.map((route) =>
      route.replace('users/ann', 'api-keys/x').replace('users', 'api-keys'),
    );
    for (const route of [...routes, 'GET /users/ann/history', ...keyRoutes, 'GET /audit']) {
      for (const role of ['analyst', 'viewer', 'writer'] as const) {
        const headers = { Authorization: `Bearer ${await first.token(role)}` };
        expect([route, role, (await send(first, route, { headers })).status]).toEqual([route, role, 403]);
      }
    }
  });
});

describe('API keys', () => {
  const addKey = async (more: object = {}) =>
    await send(first, 'POST /api-keys', { body: { name: 'shipper', role: 'writer', ...more } });

  it('are shown once, kept as hashes, and taken in three headers by every instance', async () => {
    const scope = { services: ['web'] };
    const { status, body, headers } = await addKey({ role: 'viewer', scope });
    expect(status).toBe(201);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toMatchObject({
      name: 'shipper',
      role: 'viewer',
      scope,
      status: 'active',
      last_used_at: null,
    });
    expect(body.key).toMatch(/^mr_[0-9a-f]{12}_[\w-]{43}$/);
    expect(body.prefix).toBe(body.key.slice(0, 15));
    const basic = Buffer.from(`anything:${body.key}`).toString('base64');
    const sent = [
      { Authorization: `Bearer ${body.key}` },
      { Authorization: '', 'X-API-Key': body.key as string },
      { Authorization: `Basic ${basic}` },
    ];
    for (const api of [first, second]) {
      for (const headers of sent) {
        const me = await send(api, 'GET /auth/me', { headers });
        expect([me.status, me.body]).toEqual([200, { username: `key:${body.id}`, role: 'viewer', scope }]);
      }
    }
    const secret = body.key.slice(16) as string;
    const dump = JSON.stringify([
      await clickhouse.store.query('SELECT * FROM api_keys'),
      await clickhouse.store.query('SELECT * FROM audit'),
      (await send(first, `GET /api-keys/${body.id}`)).body,
      (await send(first, 'GET /api-keys')).body,
      (await send(first, `GET /api-keys/${body.id}/history`)).body,
      first.telemetry.events,
    ]);
    expect(dump).toContain(body.id);
    expect(dump).not.toContain(secret);
  });

  it('do what their role allows', async () => {
    const writer = (await addKey()).body.key as string;
    const reader = (await addKey({ role: 'viewer' })).body.key as string;
    const statusOf = async (key: string, route: string, body?: unknown) =>
      (await send(second, route, { body, headers: { Authorization: `Bearer ${key}` } })).status;
    expect(await statusOf(writer, 'POST /logs', { message: 'x' })).toBe(200);
    expect(await statusOf(writer, 'GET /logs')).toBe(403);
    expect(await statusOf(reader, 'GET /logs')).toBe(200);
    expect(await statusOf(reader, 'POST /logs', { message: 'x' })).toBe(403);
    expect(await statusOf(reader, 'GET /users')).toBe(403);
    // What belongs to sessions is for users.
    expect(await statusOf(reader, 'POST /auth/logout')).toBe(403);
    expect(await statusOf(reader, 'POST /auth/ticket')).toBe(403);
    const passwords = { current_password: PASSWORD, new_password: 'staple for a donkey' };
    expect(await statusOf(reader, 'POST /auth/password', passwords)).toBe(403);
    expect((await addKey({ role: 'admin' })).status).toBe(422);
  });

  it('end by revocation within a minute everywhere, for good, and by their date', async () => {
    const { body, etag } = await addKey({ role: 'viewer', expires_at: 'now+1h' });
    const use = async () =>
      await Promise.all([first, second].map(async (api) => (await meAs(api, `Bearer ${body.key}`)).status));
    expect(await use()).toEqual([200, 200]);
    const stale = { 'If-Match': '"1"' };
    expect((await send(second, `DELETE /api-keys/${body.id}`, { headers: stale })).status).toBe(412);
    for (const { clock } of [first, second]) clock.nowMs += 3_700_000;
    expect(await use()).toEqual([401, 401]);
    const longer = await send(second, `PATCH /api-keys/${body.id}`, { body: { expires_at: null } });
    expect([longer.status, longer.body.expires_at]).toEqual([200, null]);
    expect(longer.etag).not.toBe(etag);
    for (const { clock } of [first, second]) clock.nowMs += 10_000;
    expect(await use()).toEqual([200, 200]);
    expect((await send(second, `DELETE /api-keys/${body.id}`)).status).toBe(204);
    first.clock.nowMs += 10_000;
    expect(await use()).toEqual([401, 401]);
    const shown = await send(first, `GET /api-keys/${body.id}`);
    expect(shown.body).toMatchObject({ status: 'revoked' });
    expect((await send(first, `PATCH /api-keys/${body.id}`, { body: { name: 'x' } })).status).toBe(422);
  });

  it('are refused when they are made up, cut or of another key', async () => {
    const one = (await addKey()).body.key as string;
    const other = (await addKey()).body.key as string;
    const wrong = [
      'mr_000000000000_'.padEnd(59, 'A'),
      one.slice(0, -1),
      `${one}A`,
      one.slice(0, 16) + other.slice(16),
      'mr_',
      '',
    ];
    for (const key of wrong) {
      expect([key, (await meAs(first, `Bearer ${key}`)).status]).toEqual([key, 401]);
      const headers = { Authorization: '', 'X-API-Key': key };
      expect([key, (await send(first, 'GET /auth/me', { headers })).status]).toEqual([key, 401]);
    }
  });

  it('tell when they were used last', async () => {
    const { body } = await addKey({ role: 'viewer' });
    await meAs(first, `Bearer ${body.key}`);
    const usedAt = async () =>
      (await send(second, `GET /api-keys/${body.id}`)).body.last_used_at as string | null;
    await until(async () => (await usedAt()) !== null);
    const nowMs = first.clock.nowMs;
    expect(Math.abs(Date.parse((await usedAt()) ?? '') - nowMs)).toBeLessThan(1000);
  });
});

describe('the audit', () => {
  it('says who did what, from where, and whether it went through', async () => {
    const requestId = 'audit-test-1';
    await send(first, 'POST /users', {
      body: { username: 'audited', password: PASSWORD, role: 'viewer' },
      headers: { 'X-Request-Id': requestId },
    });
    await send(first, 'PATCH /users/audited', { body: { password: 'another secret word', role: 'writer' } });
    await send(first, 'DELETE /users/audited', {
      headers: { Authorization: `Bearer ${await first.token('viewer')}` },
    });
    await first.post('/auth/login', { username: 'evil\r\nname', password: 'wrong password' });
    const exported = await fetch(`${first.base}/logs?service=audited`, {
      headers: { Authorization: `Bearer ${await first.token('viewer')}`, Accept: 'text/csv' },
    });
    expect(await exported.text()).toContain('#end');
    await until(
      async () =>
        (await send(second, 'GET /audit?actor=evil%0D%0Aname')).body.data.length === 1 &&
        (await send(second, 'GET /audit?action=logs.export')).body.data.length === 1 &&
        (await send(second, 'GET /audit?action=user.remove&limit=1')).body.data[0]?.target === 'audited',
    );
    const { body } = await send(second, 'GET /audit?limit=1000');
    const mine = body.data.filter((row: { target: string }) => row.target === 'audited');
    const address = '127.0.0.1';
    expect(mine).toMatchObject([
      { actor: 'the-viewer', action: 'user.remove', outcome: 'denied', address, detail: {} },
      {
        actor: 'the-admin',
        action: 'user.change',
        outcome: 'ok',
        detail: { role: 'writer', password: 'changed' },
      },
      {
        actor: 'the-admin',
        action: 'user.create',
        outcome: 'ok',
        request_id: requestId,
        detail: { role: 'viewer' },
      },
    ]);
    const [row] = body.data.filter(({ action }: { action: string }) => action === 'logs.export');
    expect(row).toMatchObject({
      actor: 'the-viewer',
      outcome: 'ok',
      detail: { type: 'text/csv', query: 'service=audited' },
    });
    const evil = body.data.find((row: { actor: string }) => row.actor.startsWith('evil'));
    expect(evil).toMatchObject({ actor: 'evil\r\nname', action: 'auth.login', outcome: 'denied' });
    const text = JSON.stringify(body);
    for (const secret of ['another secret word', PASSWORD, 'wrong password'])
      expect(text).not.toContain(secret);
  });

  it('is read page by page, once each', async () => {
    const all = (await send(first, 'GET /audit?limit=1000&to=now')).body.data as unknown[];
    const read: unknown[] = [];
    let cursor = '';
    do {
      const { body } = await send(first, `GET /audit?limit=7&to=now${cursor}`);
      read.push(...body.data);
      cursor = body.page.next === null ? '' : `&cursor=${body.page.next}`;
    } while (cursor !== '' && read.length < 2000);
    expect(read).toEqual(all);
    expect(all.length).toBeGreaterThan(10);
    const { body } = await send(first, 'GET /audit?limit=1');
    const other = await send(first, `GET /audit?limit=1&actor=x&cursor=${body.page.next}`);
    expect(other.status).toBe(400);
  });
});
