/**
 * `GET /logs/tail` from the pipeline: real pipeline, real ClickHouse, both servers.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LOG_SELECT, type LogRow, toLog } from '../../src/api/logs/log-shape.ts';
import { readBlock } from '../../src/api/tail/block-rows.ts';
import { MillraceError } from '../../src/errors.ts';
import { DirectSource } from '../../src/pipeline/direct-source.ts';
import type { BlockStore } from '../../src/pipeline/ports.ts';
import type { QueryPort } from '../../src/pipeline/query-port.ts';
import { createGenerator } from '../../src/produce/generator.ts';
import { createBlockStore } from '../../src/store/block-store.ts';
import { createOwnerName } from '../../src/store/lane-claims.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { startPipeline, type TestPipeline } from '../support/pipeline.ts';
import { TailClient } from '../support/tail-client.ts';
import { until } from '../support/until.ts';
import { type ApiFixture, type ApiFixtureOptions, PASSWORD, SERVERS, startApi } from './api-fixture.ts';
import { insertLogs } from './log-rows.ts';

const TAIL = { pollMs: 100, watchMs: 200, heartbeatMs: 200, maxLogs: 20_000, maxCharacters: 1e8 };
const PATIENCE = { timeoutMs: 25_000 };
const LANE = { source: 210, partition: 1 };
const FOREIGN = { source: 211, partition: 0 };

let clickhouse: TestClickHouse;
let subject: TestPipeline;
let source: DirectSource;
/** Statements on `logs` that the API sent. */
const statements: string[] = [];
/** Of the inserts of logs, in order. */
const blocks: ArrayBuffer[] = [];
/** What happens to the next inserts of logs, once they are stored. */
let afterInsert: () => Promise<void> = () => Promise.resolve();

beforeAll(async () => {
  clickhouse = await startClickHouse();
  await clickhouse.store.insertJson('sources', [
    { number: LANE.source, kind: 'http', cluster: '', topic: '', generation: 1 },
    { number: FOREIGN.source, kind: 'kafka', cluster: 'c', topic: 'logs', generation: 1 },
  ]);
  subject = await startPipeline({ clickhouse, blockStore: watchedStore() });
  const { arena, coordinator, pool, ownership } = subject.pipeline;
  const [standing] = await ownership.claim([LANE]);
  if (standing === undefined) throw new Error('the lane could not be claimed');
  const lane = coordinator.openLane({ ...standing, name: 'http', startOffset: 0 }, standing);
  source = new DirectSource({
    arena,
    coordinator,
    pool,
    clock: { now: () => Date.now(), steady: () => performance.now() },
    refusal: () => undefined,
    openLane: () => Promise.resolve(lane),
  });
  await source.start();
});

afterAll(async () => {
  source.close();
  await subject.stop();
  await clickhouse.stop();
});

function watchedStore(): BlockStore {
  const store = createBlockStore(clickhouse.store, { owner: createOwnerName(), isGuarded: false });
  return {
    ...store,
    async insertBlocks(table, given, tokens) {
      if (table === 'logs') blocks.push(...given.map(({ bytes }) => bytes.slice(0)));
      await store.insertBlocks(table, given, tokens);
      if (table === 'logs') await afterInsert();
    },
  };
}

function recordingStore(): QueryPort {
  const { store } = clickhouse;
  return {
    query: (...given) => store.query(...given),
    select: (sql, ...given) => {
      if (/\bFROM logs\b/.test(sql)) statements.push(sql);
      return store.select(sql, ...given);
    },
    stream: (...given) => store.stream(...given),
    insertJson: (...given) => store.insertJson(...given),
  };
}

/** Messages `name 0`, `name 1`, …, stored when it resolves. */
async function post(name: string, count: number, fields: Record<string, unknown> = {}): Promise<string[]> {
  const messages = Array.from({ length: count }, (_, i) => `${name} ${i}`);
  const lines = messages.map((message) =>
    JSON.stringify({ message, service: name, level: 'warn', ...fields }),
  );
  const outcome = await source.submit(new TextEncoder().encode(lines.join('\n')).buffer, 'ndjson');
  expect(outcome).toMatchObject({ kind: 'stored', acceptedCount: count });
  return messages;
}

it('reads rows out of blocks as queries give them', async () => {
  const generator = createGenerator({ kind: 'mixed', seed: 11, startUs: Date.now() * 1000, rate: 1000 });
  const lines = Array.from({ length: 3000 }, () => generator.next().value);
  const odd = [
    { source_ip: '2001:db8::1:0:0:1', destination_ip: '::1', memory_usage: { used: '18446744073709551615' } },
    { source_ip: '203.0.113.9', destination_ip: '1:0:0:2:0:0:0:3', message: 'žluťoučký 🐎 \u0000 "x"' },
    { source_ip: 'fe80::', destination_ip: '0:0:1::', metadata: { __proto__: 'x', 'a.b': '', ž: '1' } },
    { source_ip: '::ffff:1.2.3.4', destination_ip: '::5.6.7.8', cpu_usage: 0.1, network: { rx_bytes: 7 } },
    { threats: [{ name: 'a', severity: 'high', tags: ['x', 'y'] }, { name: 'b' }], http: { status: 500 } },
    {},
  ];
  lines.push(...odd.map((event) => JSON.stringify({ message: 'odd', ...event })));
  blocks.length = 0;
  const outcome = await source.submit(new TextEncoder().encode(lines.join('\n')).buffer, 'ndjson');
  expect(outcome).toMatchObject({ kind: 'stored', rejectedCount: 0 });
  const read = blocks.flatMap((block) => readBlock(block));
  const stored = await clickhouse.store.query<LogRow>(
    `SELECT ${LOG_SELECT} FROM logs WHERE source = ${LANE.source} ORDER BY offset`,
  );
  expect(read).toHaveLength(lines.length);
  const columns = Object.keys(stored[0] ?? {}) as (keyof LogRow)[];
  for (const [i, row] of stored.entries()) {
    for (const column of columns) expect([i, column, read[i]?.[column]]).toEqual([i, column, row[column]]);
    expect(toLog(read[i] as LogRow, undefined)).toEqual(toLog(row, undefined));
  }
});

describe.each(SERVERS)('the live tail of a pipeline on %s', (kind) => {
  let api: ApiFixture;
  let token = '';
  const clients: TailClient[] = [];

  async function start(options: ApiFixtureOptions['tail'] = {}): Promise<void> {
    await api?.stop();
    const stored = subject.pipeline.coordinator.stored;
    api = await startApi(kind, recordingStore(), { stored, tail: { ...TAIL, ...options } });
    api.status.snapshots.lanes = [{ ...LANE, name: 'http', takenOffset: 0, committedOffset: 0 }];
    const name = `${kind}-${Math.random()}`;
    await api.users.add({ name, password: PASSWORD, role: 'viewer' }, 'test');
    const answer = await api.post('/auth/login', { username: name, password: PASSWORD });
    token = ((await answer.json()) as { access_token: string }).access_token;
  }

  beforeAll(() => start());

  afterEach(async () => {
    afterInsert = () => Promise.resolve();
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await until(() => api.server.inFlightCount === 0, PATIENCE);
  });

  afterAll(() => api.stop());

  async function open(query: string, lastId = ''): Promise<TailClient> {
    const headers = { Authorization: `Bearer ${token}`, ...(lastId !== '' && { 'Last-Event-ID': lastId }) };
    const client = await TailClient.open(`${api.base}/logs/tail?${query}`, headers);
    client.read();
    clients.push(client);
    await until(() => client.lastId !== '', PATIENCE);
    return client;
  }

  const has = (client: TailClient, count: number) => until(() => client.messages.length >= count, PATIENCE);

  it('shows what is stored by filter, within a second, and asks ClickHouse for none of it', async () => {
    const name = `shown-${kind}`;
    const one = await open(`service=${name}`);
    const two = await open(`filter=${encodeURIComponent(`service = "${name}" and level >= error`)}`);
    // What was in flight when the first of them came is read.
    await post(name, 1, { level: 'debug' });
    await has(one, 1);
    statements.length = 0;
    const warnings = await post(name, 50);
    const errors = await post(name, 20, { level: 'error', host: 'h', metadata: { region: 'eu' } });
    const storedMs = Date.now();
    await has(one, 71);
    await has(two, 20);
    expect(Date.now() - storedMs).toBeLessThan(1000);
    expect(one.messages.slice(1)).toEqual([...warnings, ...errors]);
    expect(two.messages).toEqual(errors);
    expect(two.of('log')[0]).toMatchObject({
      service: name,
      level: 'ERROR',
      source: { kind: 'http', partition: LANE.partition },
      metadata: { region: 'eu' },
    });
    const { id } = two.of('log')[0] as { id: string };
    const { status, body } = await api.get(`/logs/${id}`);
    expect([status, body]).toEqual([200, two.of('log')[0]]);
    statements.length = 0;
    await post(name, 10);
    await has(one, 81);
    expect(statements).toEqual([]);
  });

  it('goes on after the last event without hole and repeat while logs come in', async () => {
    const name = `resumed-${kind}`;
    const query = `service=${name}`;
    const seen: string[] = [];
    const state = { isPosting: true, count: 0 };
    let client = await open(query);
    const posting = (async () => {
      for (let batch = 0; batch < 40; batch++) {
        await post(name, 25);
        state.count += 25;
        await delay(50);
      }
      state.isPosting = false;
    })();
    let reconnectCount = 0;
    while (state.isPosting || seen.length + client.messages.length < state.count) {
      const before = client.events.length;
      await until(() => client.events.length > before, PATIENCE);
      const { lastId } = client;
      await client.close();
      const kept = client.events.findLastIndex(({ id }) => id === lastId) + 1;
      const told = client.events.slice(0, kept).filter((event) => event.name === 'log');
      seen.push(...told.map(({ data }) => data['id'] as string));
      expect(client.of('gap')).toEqual([]);
      client = await open(query, lastId);
      reconnectCount++;
    }
    await posting;
    seen.push(...client.of('log').map(({ id }) => id as string));
    expect(reconnectCount).toBeGreaterThan(5);
    expect(seen).toHaveLength(state.count);
    expect(new Set(seen).size).toBe(state.count);
  }, 90_000);

  it('shows once what an insert had stored whose answer was lost', async () => {
    const name = `doubtful-${kind}`;
    const client = await open(`service=${name}`);
    let failureCount = 0;
    afterInsert = () => {
      if (failureCount++ > 0) return Promise.resolve();
      return Promise.reject(new MillraceError('store_unavailable', 'The answer was lost.'));
    };
    const messages = await post(name, 30);
    await has(client, 30);
    await post(name, 1, { message: 'after' });
    await has(client, 31);
    expect(failureCount).toBeGreaterThan(1);
    expect(client.messages).toEqual([...messages, 'after']);
  });

  it('tells a client that reads slowly exactly what it lacks', async () => {
    await start({ maxLogs: 5 });
    const name = `slow-${kind}`;
    const headers = { Authorization: `Bearer ${token}` };
    const slow = await TailClient.open(`${api.base}/logs/tail?service=${name}`, headers);
    clients.push(slow);
    const padding = 'x'.repeat(50_000);
    for (let wave = 0; wave < 4; wave++) await post(name, 100, { metadata: { padding } });
    await delay(500);
    slow.read();
    const gapCount = () => slow.of('gap').reduce((sum, { count }) => sum + Number(count), 0);
    await until(() => slow.messages.length + gapCount() >= 400, PATIENCE);
    expect(slow.messages.length + gapCount()).toBe(400);
    expect(gapCount()).toBeGreaterThan(100);
    const { lastId } = slow;
    await slow.close();
    const after = await open(`service=${name}`, lastId);
    await post(name, 1, { message: 'after' });
    await has(after, 1);
    expect(after.messages).toEqual(['after']);
    await start();
  });

  it('shows what others store too, once they do, and goes on without hole and repeat', async () => {
    const name = `others-${kind}`;
    const client = await open(`service=${name}`);
    const mine = await post(name, 10);
    await has(client, 10);
    const theirs = Array.from({ length: 10 }, (_, i) => `theirs ${i}`);
    const firstOffset = kind === 'uws' ? 0 : 1000;
    await insertLogs(
      clickhouse.store,
      theirs.map((message, i) => ({
        ...FOREIGN,
        timestamp: '2026-01-01 00:00:00.000001',
        offset: firstOffset + i,
        message,
        service: name,
      })),
    );
    await clickhouse.store.insertJson('ledger', [
      {
        ...FOREIGN,
        epoch: 1,
        from_offset: firstOffset,
        to_offset: firstOffset + 10,
        received: 10,
        stored: 10,
      },
    ]);
    await has(client, 20);
    const more = await post(name, 10, { message: 'more' });
    await has(client, 30);
    expect(client.messages.toSorted()).toEqual([...mine, ...theirs, ...more.map(() => 'more')].toSorted());
    const { lastId } = client;
    await client.close();
    await post(name, 3, { message: 'last' });
    const next = await open(`service=${name}`, lastId);
    await has(next, 3);
    expect(next.messages).toEqual(['last', 'last', 'last']);
    await clickhouse.store.command(
      `ALTER TABLE ledger DELETE WHERE source = ${FOREIGN.source} SETTINGS mutations_sync = 1`,
    );
  });
});
