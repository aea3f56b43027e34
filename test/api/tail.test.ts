/**
 * `GET /logs/tail` on both servers and a real ClickHouse.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseFilter } from '../../src/api/filter/parse-filter.ts';
import { selectionKey } from '../../src/api/tail/tail-group.ts';
import { encodeMark, markAt, startOf } from '../../src/api/tail/tail-mark.ts';
import { MillraceError } from '../../src/errors.ts';
import type { QueryPort } from '../../src/pipeline/query-port.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { TailClient } from '../support/tail-client.ts';
import { until } from '../support/until.ts';
import { type ApiFixture, type ApiFixtureOptions, PASSWORD, SERVERS, startApi } from './api-fixture.ts';
import { insertLogs, insertSources } from './log-rows.ts';

const CURSOR_SECRET = Buffer.alloc(32, 7);
const TAIL = { pollMs: 100, heartbeatMs: 200, maxLogs: 1000 };
const STREAMS_PER_USER = 4;
const NO_QUOTAS = { requestsPerMinute: 0, rowsPerMinute: 0, ingestBytesPerMinute: 0, anonymousPerMinute: 0 };
const PATIENCE = { timeoutMs: 25_000 };

let clickhouse: TestClickHouse;
/** Whether ClickHouse takes too long for a statement. */
let isTooSlow: (sql: string) => boolean = () => false;
/** Statements on `logs` that reached ClickHouse. */
const statements: string[] = [];

beforeAll(async () => {
  clickhouse = await startClickHouse();
  await insertSources(clickhouse.store);
});

afterAll(async () => {
  await clickhouse.stop();
});

function recordingStore(): QueryPort {
  const { store } = clickhouse;
  return {
    query: (...given) => store.query(...given),
    select: (sql, ...given) => {
      statements.push(sql);
      if (isTooSlow(sql)) return Promise.reject(tooSlow());
      return store.select(sql, ...given);
    },
    stream: (...given) => store.stream(...given),
    insertJson: (...given) => store.insertJson(...given),
  };
}

function tooSlow(): MillraceError {
  const cause = Object.assign(new Error('Timeout exceeded'), { clickhouseCode: 159 });
  return new MillraceError('internal', 'Timeout exceeded', { cause });
}

let nextOffset = 0;

/** Messages `name 0`, `name 1`, …; times are of the past, which must not matter. */
async function store(name: string, count: number, columns: Record<string, unknown> = {}): Promise<string[]> {
  const messages = Array.from({ length: count }, (_, i) => `${name} ${i}`);
  await insertLogs(
    clickhouse.store,
    messages.map((message, i) => ({
      timestamp: `2026-01-0${1 + (i % 3)} 03:04:05.${String(i).padStart(6, '0')}`,
      offset: nextOffset++,
      message,
      service: name,
      level: 'WARN',
      severity_number: 13,
      ...columns,
    })),
  );
  return messages;
}

/** Digits and letters in no order, the same every time. */
function randomDigits(count: number): string {
  let seed = 7;
  const next = (): string => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return (seed >> 16) % 2 === 0 ? '0' : 'a';
  };
  return Array.from({ length: count }, next).join('');
}

describe.each(SERVERS)('the live tail on %s', (kind) => {
  let api: ApiFixture;
  const clients: TailClient[] = [];
  let userCount = 0;

  async function start(
    options: ApiFixtureOptions['tail'] = {},
    quotas = { ...NO_QUOTAS, streamsPerUser: STREAMS_PER_USER },
  ): Promise<void> {
    await api?.stop();
    api = await startApi(kind, recordingStore(), {
      cursorSecret: CURSOR_SECRET,
      quotas,
      tail: { ...TAIL, ...options },
    });
  }

  beforeAll(() => start());

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await until(() => api.server.inFlightCount === 0, PATIENCE);
  });

  afterAll(() => api.stop());

  async function login(options: Partial<Parameters<ApiFixture['users']['add']>[0]> = {}): Promise<string> {
    const name = `${kind}-${userCount++}`;
    await api.users.add({ name, password: PASSWORD, role: 'viewer', ...options }, 'test');
    const answer = await api.post('/auth/login', { username: name, password: PASSWORD });
    return ((await answer.json()) as { access_token: string }).access_token;
  }

  async function open(query: string, token: string, lastId = ''): Promise<TailClient> {
    const headers = { Authorization: `Bearer ${token}`, ...(lastId !== '' && { 'Last-Event-ID': lastId }) };
    const client = await TailClient.open(`${api.base}/logs/tail?${query}`, headers);
    client.read();
    clients.push(client);
    return client;
  }

  const has = (client: TailClient, count: number) => until(() => client.messages.length >= count, PATIENCE);

  it('shows what is stored from then on, by filter and scope, with one query for all', async () => {
    const name = `shown-${kind}`;
    // A tail begins with the second in which it is opened.
    await store(name, 3, { message: 'before', stored_at: Math.floor(Date.now() / 1000) - 2 });
    const viewer = await login();
    const scoped = await login({ scope: { hosts: ['mine'] } });
    const [one, two, three, mine] = await Promise.all([
      open(`service=${name}&min_level=warn`, viewer),
      open(`filter=${encodeURIComponent(`level >= warn and service = "${name}"`)}`, viewer),
      open(`min_level=WARN&service=${name}`, await login()),
      open(`service=${name}&min_level=warn`, scoped),
    ]);
    await until(() => [one, two, three, mine].every(({ events }) => events.length > 0), PATIENCE);
    statements.length = 0;
    const all = await store(name, 20, { host: 'other' });
    await store(name, 5, { level: 'INFO', severity_number: 9 });
    const own = await store(name, 2, { host: 'mine' });
    for (const client of [one, two, three]) await has(client, 22);
    await has(mine, 2);
    for (const client of [one, two, three]) {
      expect(client.messages.toSorted()).toEqual([...all, ...own].toSorted());
      expect(client.of('gap')).toEqual([]);
    }
    expect(mine.messages.toSorted()).toEqual(own);
    expect(one.of('log')[0]).toMatchObject({ service: name, source: { kind: 'kafka', topic: 'logs' } });
    expect(one.events).toEqual(expect.arrayContaining([expect.objectContaining({ name: 'heartbeat' })]));
    // The three are one group, the scoped one another.
    const reads = statements.filter((sql) => sql.includes('stored_s'));
    expect(reads.length).toBeGreaterThan(0);
    for (const sql of reads) expect([sql.includes('{g1_0:'), sql.includes('{g2_0:')]).toEqual([true, false]);
  });

  it('goes on after the last event without hole and repeat while logs come in', async () => {
    const name = `resumed-${kind}`;
    const token = await login();
    const query = `service=${name}`;
    const expected: string[] = [];
    const seen: string[] = [];
    let client = await open(query, token);
    await until(() => client.lastId !== '', PATIENCE);
    const state = { isStoring: true };
    const storing = (async () => {
      for (let batch = 0; batch < 12; batch++) {
        expected.push(...(await store(name, 40, {})).map((message) => message));
        await new Promise((resolve) => setTimeout(resolve, 120));
      }
      state.isStoring = false;
    })();
    let reconnectCount = 0;
    const total = () => seen.length + client.messages.length;
    while (state.isStoring || total() < expected.length) {
      const before = client.events.length;
      await until(() => client.events.length > before, {
        timeoutMs: 5000,
        seen: () => [client.status, client.hasEnded, client.events.length, before, reconnectCount],
      });
      const lastId = client.lastId;
      await client.close();
      // What came between reading the id and leaving was not seen.
      const kept = client.events.findLastIndex(({ id }) => id === lastId) + 1;
      seen.push(
        ...client.events
          .slice(0, kept)
          .flatMap(({ name: kindOf, data }) => (kindOf === 'log' ? [data['id'] as string] : [])),
      );
      expect(client.of('gap')).toEqual([]);
      // The server may not have seen yet that the last ones are gone.
      await until(async () => {
        client = await open(query, token, lastId);
        return client.status === 200;
      }, PATIENCE);
      reconnectCount++;
    }
    await storing;
    seen.push(...client.of('log').map(({ id }) => id as string));
    expect(reconnectCount).toBeGreaterThan(5);
    expect(seen).toHaveLength(expected.length);
    expect(new Set(seen).size).toBe(expected.length);
    await client.close();
    await until(() => api.server.inFlightCount === 0, PATIENCE);
    for (let i = 0; i < STREAMS_PER_USER; i++) expect((await open(query, token)).status).toBe(200);
  }, 90_000);

  it('misses nothing of an insert that takes seconds, while others are quick', async () => {
    const name = `long-${kind}`;
    const client = await open(`service=${name}`, await login());
    await until(() => client.lastId !== '', PATIENCE);
    const long = clickhouse.store.command(
      `INSERT INTO logs (timestamp, ingested_at, source, partition, offset, retention_days, service, message)
       SELECT now(), now(), 1, 9, ${nextOffset} + number, 3650, '${name}', concat('long ', toString(number))
       FROM numbers(3) WHERE sleepEachRow(0.9) = 0 SETTINGS max_block_size = 1`,
    );
    nextOffset += 3;
    for (let i = 0; i < 3; i++) {
      await store(name, 2);
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
    await long;
    await has(client, 9);
    expect(client.messages.filter((message) => message.startsWith('long '))).toHaveLength(3);
    expect(client.messages).toHaveLength(9);
  });

  it('tells a client that reads slowly exactly what it lacks', async () => {
    await start({ maxLogs: 5 });
    const name = `slow-${kind}`;
    const token = await login();
    const slow = await TailClient.open(`${api.base}/logs/tail?service=${name}`, {
      Authorization: `Bearer ${token}`,
    });
    clients.push(slow);
    const stored: string[] = [];
    for (let wave = 0; wave < 3; wave++) {
      const padding = 'x'.repeat(100_000);
      stored.push(...(await store(name, 100, { metadata: { padding } })));
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
    const last = await open(`service=${name}`, token);
    await until(() => last.events.length > 1, PATIENCE);
    slow.read();
    const gapCount = () => slow.of('gap').reduce((sum, { count }) => sum + Number(count), 0);
    await until(() => slow.messages.length + gapCount() >= stored.length, PATIENCE);
    expect(slow.messages.length + gapCount()).toBe(stored.length);
    expect(gapCount()).toBeGreaterThan(100);
    expect(new Set(slow.of('log').map(({ id }) => id as string)).size).toBe(slow.messages.length);
    for (const { from, to } of slow.of('gap')) {
      expect(from).toMatch(/^2026-01-0[123]T03:04:05\.\d{6}Z$/);
      expect(from <= to).toBe(true);
    }
    // The id of a gap is one to go on from.
    const after = await open(`service=${name}`, token, slow.lastId);
    await store(name, 1, { message: 'after' });
    await has(after, 1);
    expect(after.messages).toEqual(['after']);
  });

  it('counts what is too much to read in time, and what was stored more than an hour ago', async () => {
    await start({ maxRows: 50, maxLagS: 0 });
    const name = `much-${kind}`;
    const token = await login();
    const client = await open(`service=${name}`, token);
    await until(() => client.lastId !== '', PATIENCE);
    await store(name, 200);
    const count = (of: TailClient) => of.of('gap').reduce((sum, gap) => sum + Number(gap['count']), 0);
    await until(() => client.messages.length + count(client) >= 200, PATIENCE);
    expect([client.messages.length, count(client)]).toEqual([50, 150]);

    const old = `old-${kind}`;
    const nowS = Math.floor(Date.now() / 1000);
    await store(old, 7, { stored_at: nowS - 7200 });
    await store(old, 3, { stored_at: nowS - 1800 });
    const selection = { filter: parseFilter(`service = "${old}"`), scope: {} };
    const seal = { binding: selectionKey(selection), secret: CURSOR_SECRET };
    const back = await open(`service=${old}`, token, encodeMark(markAt(startOf(nowS - 9000)), seal));
    await has(back, 3);
    await until(() => back.of('heartbeat').length > 1, PATIENCE);
    expect([back.messages.length, count(back)]).toEqual([3, 7]);
    await start();
  });

  it('takes expressions up to a size, of one tail and of all of a user', async () => {
    const token = await login();
    const counted = (count: number) =>
      Array.from({ length: count }, (_, i) => String.raw`message ~ "\\d.{90}~~${i}"`).join(' or ');
    const query = (count: number) => `filter=${encodeURIComponent(counted(count))}`;
    expect((await open(query(4), token)).status).toBe(422);
    expect((await api.get(`/logs?limit=1&${query(4)}`)).status).toBe(200);
    await start({}, { ...NO_QUOTAS, streamsPerUser: 20 });
    await Promise.all(clients.splice(0).map((client) => client.close()));
    for (let i = 0; i < 5; i++) expect((await open(query(3), token)).status).toBe(200);
    expect((await open(query(3), token)).status).toBe(429);
    expect((await open('', token)).status).toBe(200);
    await clients.shift()?.close();
    await until(() => api.server.inFlightCount === 5, PATIENCE);
    expect((await open(query(3), token)).status).toBe(200);
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await start();
  });

  it.each(['log', 'query'] as const)(
    'ends the tails for which a %s takes too long, and no other',
    async (what) => {
      const name = `costly-${what}-${kind}`;
      const [plain, other, token] = [await login(), await login(), await login()];
      const costly = `filter=${encodeURIComponent(String.raw`message ~ "\\d.{90}~~${what}"`)}`;
      const [all, words, slow] = await Promise.all([
        open(`service=${name}`, plain),
        open(`filter=${encodeURIComponent('message ~ "^costly.*\\\\d$"')}&service=${name}`, other),
        open(costly, token),
      ]);
      await until(() => [all, words, slow].every(({ lastId }) => lastId !== ''), PATIENCE);
      if (what === 'query') isTooSlow = (sql) => sql.includes('stored_s') && sql.split('match(').length > 2;
      // As hard as can be for an automaton of that expression.
      const message = `costly ${randomDigits(20_000)}`;
      await store(name, 1, what === 'log' ? { message } : {});
      await store(name, 20, { message: 'costly 1' });
      await until(() => slow.hasEnded, PATIENCE);
      expect(slow.of('end')).toMatchObject([{ code: 'query_too_costly', detail: expect.any(String) }]);
      await store(name, 3, { message: 'costly 2' });
      await has(all, 24);
      await has(words, 23);
      for (const client of [all, words]) expect([client.of('gap'), client.of('end')]).toEqual([[], []]);
      expect([all.messages.length, all.hasEnded]).toEqual([24, false]);
      isTooSlow = () => false;
      expect((await open(costly, token)).status).toBe(422);
      api.clock.nowMs += 60_000;
      expect((await open(costly, await login())).status).toBe(200);
      await start();
    },
  );

  it('takes tickets once, which no log shows, and refuses ids of another filter or scope', async () => {
    const token = await login();
    const answer = await api.post('/auth/ticket', '', { Authorization: `Bearer ${token}` });
    const { ticket } = (await answer.json()) as { ticket: string };
    const url = `${api.base}/logs/tail?service=a&ticket=${ticket}`;
    const client = await TailClient.open(url, {});
    client.read();
    clients.push(client);
    expect(client.status).toBe(200);
    expect((await fetch(url)).status).toBe(401);
    await until(() => client.lastId !== '', PATIENCE);
    expect(JSON.stringify(api.telemetry.events)).not.toContain(ticket);
    const headers = { Authorization: `Bearer ${token}`, 'Last-Event-ID': client.lastId };
    const statusOf = async (query: string, given: Record<string, string>) => {
      const response = await fetch(`${api.base}/logs/tail?${query}`, { headers: given });
      await response.body?.cancel();
      return response.status;
    };
    expect(await statusOf('service=a', headers)).toBe(200);
    expect(await statusOf(`service=a&cursor=${client.lastId}`, { Authorization: `Bearer ${token}` })).toBe(
      200,
    );
    expect(await statusOf('service=b', headers)).toBe(400);
    const scoped = await login({ scope: { services: ['a'] } });
    expect(await statusOf('service=a', { ...headers, Authorization: `Bearer ${scoped}` })).toBe(400);
    expect(await statusOf('from=now-1h', { Authorization: `Bearer ${token}` })).toBe(400);
    expect(await statusOf('', { Authorization: 'Bearer nonsense' })).toBe(401);
    expect(await statusOf('', { Authorization: `Bearer ${await login({ role: 'writer' })}` })).toBe(403);
  });

  it('has room for so many of one user, and asks nothing when all are gone', async () => {
    const token = await login();
    for (let i = 0; i < STREAMS_PER_USER; i++) {
      const client = await open('', token);
      await until(() => client.events.length > 0, PATIENCE);
    }
    expect((await open('', token)).status).toBe(429);
    expect((await open('', await login())).status).toBe(200);
    await clients.shift()?.close();
    await until(() => api.server.inFlightCount === STREAMS_PER_USER, PATIENCE);
    expect((await open('', token)).status).toBe(200);
    expect((await open('', token)).status).toBe(429);
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await until(() => api.server.inFlightCount === 0, PATIENCE);
    await new Promise((resolve) => setTimeout(resolve, 2 * TAIL.pollMs));
    const asked = statements.length;
    await new Promise((resolve) => setTimeout(resolve, 5 * TAIL.pollMs));
    expect(statements).toHaveLength(asked);
  });

  it('ends with the session, the user, and the program', async () => {
    const token = await login();
    const client = await open('', token);
    const other = await open('', await login());
    await until(() => client.events.length > 0 && other.events.length > 0, PATIENCE);
    expect((await api.post('/auth/logout', '', { Authorization: `Bearer ${token}` })).status).toBe(204);
    await until(() => client.hasEnded, PATIENCE);
    expect(other.hasEnded).toBe(false);
    await start();
    await until(() => other.hasEnded, PATIENCE);
  });
});
