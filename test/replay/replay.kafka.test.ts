/** Stretches of real topics processed again: what comes back, what is replaced, and what must not change. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ProductionAccount } from '../../src/commands/produce-loop.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { createTopic, produce } from '../support/kafka.ts';
import { startPipeline } from '../support/pipeline.ts';
import { createKindTopics, type KindTopics, produceEvents } from '../support/produce-events.ts';
import { replayTopic } from '../support/replay.ts';
import { expectBalancedLedger, expectChecksum, expectRollups } from '../support/stored.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

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
  await pipeline.stop();
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
    const letters = `SELECT offset, record_time, reason, detail FROM dead_letters WHERE ${ofTopic(badTopic)} ORDER BY offset`;
    const before = await store.query(letters);
    expect(before).toHaveLength(BAD.length);
    await change('dead_letters', `DELETE WHERE ${ofTopic(badTopic)} AND offset IN (0, 2)`);
    expect(await replayTopic(store, { topic: badTopic, mode: 'missing' })).toMatchObject({
      rowCount: 0,
      letterCount: 2,
    });
    expect(await store.query(letters)).toEqual(before);
  });
});

describe('replay --mode replace', () => {
  test('puts right what was corrupted, and leaves everything else alone', async () => {
    const { store } = clickhouse;
    const topic = topicOf('logs');
    const stretch = `${ofTopic(topic)} AND partition = 0 AND offset >= 50 AND offset < 800`;
    await change('logs', `UPDATE stored_at = stored_at - 86400 WHERE ${stretch}`);
    const kept = `${stretch} AND offset % 7 != 0`;
    const [before, outside] = [await contentOf(kept), await contentOf(`NOT (${stretch})`)];
    await change(
      'logs',
      `UPDATE message = 'corrupted', host = 'corrupted' WHERE ${stretch} AND offset % 2 = 0`,
    );
    await change('logs', `DELETE WHERE ${stretch} AND offset % 7 = 0`);
    await moveToAnotherDay(`${stretch} AND offset IN (57, 58)`);
    expect(await contentOf(kept)).not.toEqual(before);

    const tally = await replayTopic(store, {
      topic,
      mode: 'replace',
      from: { kind: 'offset', offset: 50 },
      to: { kind: 'offset', offset: 800 },
      partitions: [0],
    });
    expect(tally).toMatchObject({ readCount: 750, rowCount: 750, letterCount: 0, keptCount: 0 });
    // Arrival included: retention counts from it.
    expect(await contentOf(kept)).toEqual(before);
    expect(await contentOf(`NOT (${stretch})`)).toEqual(outside);
    expect(await count(`logs WHERE ${OTHER_DAY}`)).toBe(0);
    await expectAsProduced();
  });

  test('moves letters whose records parse now, and rows whose records do not', async () => {
    const { store } = clickhouse;
    const lane = ofTopic(badTopic);
    const letters = `SELECT offset, reason, payload, stored_at FROM dead_letters WHERE ${lane} ORDER BY offset`;
    const before = await store.query<{ offset: number }>(letters);
    // As if 3 had been a letter and 0 a row, and 2 had been refused for another reason.
    await store.command(
      `INSERT INTO dead_letters (source, partition, offset, record_time, reason)
       SELECT source, partition, offset, ingested_at, 'nested_too_deep' FROM logs WHERE ${lane} AND offset = 3`,
    );
    await store.command(
      `INSERT INTO logs (timestamp, ingested_at, source, partition, offset, retention_days)
       SELECT record_time, record_time, source, partition, offset, 30 FROM dead_letters WHERE ${lane} AND offset = 0`,
    );
    await change('logs', `DELETE WHERE ${lane} AND offset = 3`);
    await change('dead_letters', `DELETE WHERE ${lane} AND offset = 0`);
    await change('dead_letters', `UPDATE reason = 'nested_too_deep' WHERE ${lane} AND offset = 2`);

    const tally = await replayTopic(store, { topic: badTopic, mode: 'replace' });
    expect(tally).toMatchObject({ readCount: 6, filteredCount: 1, rowCount: 2, letterCount: 2 });
    const after = await store.query<{ offset: number }>(letters);
    expect(after).toMatchObject(before.map(({ offset }) => ({ offset, reason: 'malformed_json' })));
    // The letter that nothing was wrong with is the same one.
    expect(after.find(({ offset }) => offset === 1)).toEqual(before.find(({ offset }) => offset === 1));
    await expectAsProduced();
  });

  test('keeps rows whose records Kafka no longer has, and letters that parsing cannot judge', async () => {
    const { store } = clickhouse;
    const lane = ofTopic(badTopic);
    const another = `SELECT * REPLACE (ingested_at - 1000 AS ingested_at) FROM logs WHERE ${lane} AND offset = 4`;
    await store.command(`INSERT INTO logs ${another}`);
    await change('dead_letters', `UPDATE reason = 'poison_record' WHERE ${lane} AND offset = 1`);
    const before = await store.query(`SELECT * FROM dead_letters WHERE ${lane} ORDER BY offset`);
    const tally = await replayTopic(store, { topic: badTopic, mode: 'replace' });
    expect(tally).toMatchObject({ readCount: 5, rowCount: 2, letterCount: 0, keptCount: 1, heldCount: 1 });
    expect(await store.query(`SELECT * FROM dead_letters WHERE ${lane} ORDER BY offset`)).toEqual(before);
    expect(await count(`logs WHERE ${lane} AND offset = 4`)).toBe(2);
    await expectRollups(store, '1m');
    const first = `SELECT min(ingested_at) FROM logs WHERE ${lane} AND offset = 4`;
    await change('logs', `DELETE WHERE ${lane} AND offset = 4 AND ingested_at = (${first})`);
    await change('dead_letters', `UPDATE reason = 'malformed_json' WHERE ${lane} AND offset = 1`);
    await replayTopic(store, { topic: badTopic, mode: 'replace' });
    await expectAsProduced();
  });
});

const OTHER_DAY = "timestamp < '2020-01-01'";

/** Through the views, as a wrong reading of the time would have done it. */
async function moveToAnotherDay(where: string): Promise<void> {
  const { store } = clickhouse;
  const columns =
    'source, partition, offset, ingested_at, retention_days, service, host, level, message, stored_at';
  await store.command(
    `INSERT INTO logs (timestamp, ${columns}) SELECT timestamp - INTERVAL 10 YEAR, ${columns} FROM logs WHERE ${where}`,
  );
  await change('logs', `DELETE WHERE ${where} AND NOT (${OTHER_DAY})`);
  expect(await count(`logs WHERE ${OTHER_DAY}`)).toBe(2);
}
