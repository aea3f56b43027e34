/** Stretches of real topics processed again: what comes back, what is replaced, and what must not change. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProductionAccount } from '../../src/commands/produce-loop.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { createTopic, produce } from '../support/kafka.ts';
import { startPipeline } from '../support/pipeline.ts';
import { createKindTopics, type KindTopics, produceEvents } from '../support/produce-events.ts';
import { planReplay, replayTopic } from '../support/replay.ts';
import { expectBalancedLedger, expectChecksum, expectRollups } from '../support/stored.ts';

const COUNT = 12_000;
const BAD = ['{"message":', '{"a":', '{'];

let clickhouse: TestClickHouse;
let topics: KindTopics;
let account: ProductionAccount;
let badTopic = '';

beforeAll(async () => {
  clickhouse = await startClickHouse();
  topics = await createKindTopics(2);
  account = await produceEvents({ topics, count: COUNT });
  badTopic = await createTopic('bad');
  await produce(
    badTopic,
    [...BAD, '{"message":"good"}', 'a line', ''].map((value) => ({ value })),
  );
  const pipeline = await startPipeline({ clickhouse, topics: [...topics.values(), badTopic] });
  await pipeline.untilReceived(COUNT + 6);
  expect(await pipeline.stop()).toBe(true);
  await expectAsProduced();
});
afterAll(async () => {
  await clickhouse.stop();
});

async function expectAsProduced(): Promise<void> {
  const { store } = clickhouse;
  await expectChecksum(store, account);
  await expectRollups(store, '1m');
  await expectRollups(store, '1h');
  await expectBalancedLedger(store);
  const tables = await store.query(
    `SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, 'replay_')`,
  );
  expect(tables).toEqual([]);
}

function topicOf(kind: string): string {
  return topics.get(kind) ?? '';
}

/** Condition for rows of a topic. */
function ofTopic(topic: string): string {
  return `source = (SELECT max(number) FROM sources WHERE topic = '${topic}')`;
}

async function change(table: string, mutation: string): Promise<void> {
  await clickhouse.store.command(`ALTER TABLE ${table} ${mutation}`, {}, { settings: { mutations_sync: 2 } });
}

async function count(from: string): Promise<number> {
  const [row] = await clickhouse.store.query<{ n: number }>(`SELECT count() AS n FROM ${from}`);
  return row?.n ?? 0;
}

/** A sum over all columns of rows, arrival included. */
async function contentOf(where: string): Promise<unknown> {
  return await clickhouse.store.query(
    `SELECT count() AS rows, toString(sum(cityHash64(tuple(*, stored_at)))) AS content FROM logs WHERE ${where}`,
  );
}

describe('replay --mode missing', () => {
  test('stores what was deleted by hand, once', async () => {
    const { store } = clickhouse;
    const topic = topicOf('system-metrics');
    const total = await count(`logs WHERE ${ofTopic(topic)}`);
    await change('logs', `DELETE WHERE ${ofTopic(topic)} AND offset % 3 = 0`);
    const missing = total - (await count(`logs WHERE ${ofTopic(topic)}`));
    expect(missing).toBeGreaterThan(500);

    const first = await replayTopic(store, { topic, mode: 'missing' });
    expect(first).toMatchObject({ readCount: total, rowCount: missing, letterCount: 0, keptCount: 0 });
    await expectAsProduced();
    const second = await replayTopic(store, { topic, mode: 'missing' });
    expect(second).toMatchObject({ readCount: total, rowCount: 0, letterCount: 0 });
    await expectAsProduced();
  });

  test('keeps to the stretch', async () => {
    const { store } = clickhouse;
    const topic = topicOf('logs');
    await change('logs', `DELETE WHERE ${ofTopic(topic)} AND offset < 1000`);
    const from = { kind: 'offset', offset: 101 } as const;
    const to = { kind: 'offset', offset: 307 } as const;
    const tally = await replayTopic(store, { topic, mode: 'missing', from, to, partitions: [1] });
    expect(tally).toMatchObject({ readCount: 206, rowCount: 206 });
    const rows = await store.query(
      `SELECT partition, min(offset) AS first, max(offset) AS last FROM logs WHERE ${ofTopic(topic)} AND offset < 1000
       GROUP BY partition`,
    );
    expect(rows).toEqual([{ partition: 1, first: 101, last: 306 }]);
    await replayTopic(store, { topic, mode: 'missing' });
    await expectAsProduced();
  });

  test('brings dead letters back, and neither a letter nor an event for what is one already', async () => {
    const { store } = clickhouse;
    expect(await replayTopic(store, { topic: badTopic, mode: 'missing' })).toMatchObject({
      readCount: 6,
      filteredCount: 1,
      rowCount: 0,
      letterCount: 0,
    });
    await change('dead_letters', `DELETE WHERE ${ofTopic(badTopic)} AND offset IN (0, 2)`);
    expect(await replayTopic(store, { topic: badTopic, mode: 'missing' })).toMatchObject({
      rowCount: 0,
      letterCount: 2,
    });
    const letters = await store.query(
      `SELECT offset, payload FROM dead_letters WHERE ${ofTopic(badTopic)} ORDER BY offset`,
    );
    expect(letters).toEqual(BAD.map((payload, offset) => ({ offset, payload })));
  });
});

describe('replay --mode replace', () => {
  test('puts right what was corrupted, and leaves everything else alone', async () => {
    const { store } = clickhouse;
    const topic = topicOf('logs');
    const stretch = `${ofTopic(topic)} AND partition = 0 AND offset >= 50 AND offset < 800`;
    const [before, outside] = [await contentOf(stretch), await contentOf(`NOT (${stretch})`)];
    await change(
      'logs',
      `UPDATE message = 'corrupted', host = 'corrupted' WHERE ${stretch} AND offset % 2 = 0`,
    );
    await change('logs', `DELETE WHERE ${stretch} AND offset % 7 = 0 AND offset % 2 = 1`);
    expect(await contentOf(stretch)).not.toEqual(before);

    const [from, to] = [50, 800].map((offset) => ({ kind: 'offset', offset }) as const);
    const tally = await replayTopic(store, { topic, mode: 'replace', from: from!, to: to!, partitions: [0] });
    expect(tally).toMatchObject({ readCount: 750, rowCount: 750, letterCount: 0, keptCount: 0 });
    expect(await contentOf(`${stretch} AND NOT (offset % 7 = 0 AND offset % 2 = 1)`)).toMatchObject([
      { rows: 750 - 53 },
    ]);
    expect(await contentOf(`NOT (${stretch})`)).toEqual(outside);
    await expectAsProduced();
  });
});
