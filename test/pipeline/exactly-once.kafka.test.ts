/**
 * Inserts that fail after they were stored, that are refused, and lanes that somebody else takes: each record is there
 * once in the end. ClickHouse is real; the store before it loses answers on purpose.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MillraceError } from '../../src/errors.ts';
import type { BlockStore, BlockTable, Delivery } from '../../src/pipeline/ports.ts';
import { createBlockStore } from '../../src/store/block-store.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { uniqueName } from '../support/kafka.ts';
import { startPipeline, type TestPipeline } from '../support/pipeline.ts';
import { craftBatch } from '../support/record-batches.ts';
import { expectBalancedLedger } from '../support/stored.ts';
import { until } from '../support/until.ts';

let clickhouse: TestClickHouse;
beforeAll(async () => {
  clickhouse = await startClickHouse();
});
afterAll(async () => {
  await clickhouse.stop();
});

const NOW_MS = Date.now();
const BATCH_RECORDS = 500;
const heartbeat = (): Promise<void> => Promise.resolve();

type MakeValue = (offset: number) => string;

const eventOf: MakeValue = (offset) =>
  JSON.stringify({ service: 'once', message: `record ${offset}`, metadata: { a: 'b' } });

function batch(baseOffset: number, makeValue: MakeValue) {
  const records = Array.from({ length: BATCH_RECORDS }, (_, i) => ({ value: makeValue(baseOffset + i) }));
  const bytes = craftBatch({ records, baseOffset, codec: 'none', baseTimestampMs: NOW_MS });
  return { bytes, baseOffset, lastOffset: baseOffset + BATCH_RECORDS - 1 };
}

async function deliver(
  { pipeline }: TestPipeline,
  topic: string,
  { batchCount, makeValue = eventOf, from = 0 }: { batchCount: number; makeValue?: MakeValue; from?: number },
): Promise<void> {
  const { kafkaLanes } = pipeline;
  for (let i = 0; i < batchCount; i++) {
    const batches: Delivery['batches'] = [batch(from + i * BATCH_RECORDS, makeValue)];
    const fetchOffset = from + i * BATCH_RECORDS;
    const highWatermark = from + batchCount * BATCH_RECORDS;
    const place = { topic, partition: 0, epoch: kafkaLanes.epoch };
    await kafkaLanes.onDelivery({ ...place, fetchOffset, batches, highWatermark }, heartbeat);
  }
}

async function assign({ pipeline }: TestPipeline, topic = uniqueName('once')): Promise<string> {
  await pipeline.kafkaLanes.onAssigned(pipeline.kafkaLanes.epoch + 1, [{ topic, topicId: '', partition: 0 }]);
  return topic;
}

async function untilStored({ pipeline }: TestPipeline): Promise<void> {
  await until(() => pipeline.coordinator.inFlightCount === 0, { timeoutMs: 60_000 });
}

async function stored(table: BlockTable, topic: string): Promise<{ rows: number; offsets: number }> {
  const [row] = await clickhouse.store.query<{ rows: number; offsets: number }>(
    `SELECT count() AS rows, uniqExact(offset) AS offsets FROM ${table}
     WHERE source = (SELECT any(number) FROM sources WHERE topic = {topic:String})`,
    { topic },
  );
  return row ?? { rows: 0, offsets: 0 };
}

/** Stores what it is given, and then says of every n-th insert that it failed. */
function loseAnswers(store: BlockStore, everyNth: number): BlockStore {
  let count = 0;
  return {
    ...store,
    async insertBlocks(table, blocks, tokens) {
      await store.insertBlocks(table, blocks, tokens);
      count++;
      if (count % everyNth === 0) throw new MillraceError('store_unavailable', 'The answer was lost.');
    },
  };
}

function blockStore(owner: string): BlockStore {
  return createBlockStore(clickhouse.store, { owner });
}

describe('exactly once', () => {
  test('answers of inserts that were stored are lost: what is present is passed over', async () => {
    const subject = await startPipeline({
      clickhouse,
      blockStore: loseAnswers(blockStore('loses-answers'), 2),
      settings: { flushRows: 1000, flushIntervalMs: 20 },
    });
    const topic = await assign(subject);
    const makeValue: MakeValue = (offset) => (offset % 100 === 7 ? '{' : eventOf(offset));
    await deliver(subject, topic, { batchCount: 40, makeValue });
    await untilStored(subject);
    expect(await stored('logs', topic)).toEqual({ rows: 19_800, offsets: 19_800 });
    expect(await stored('dead_letters', topic)).toEqual({ rows: 200, offsets: 200 });
    expect(subject.pipeline.coordinator.totals.alreadyPresentCount).toBeGreaterThan(0);
    expect(subject.problems()).toEqual([]);
    expect(await subject.stop()).toBe(true);
    await expectBalancedLedger(clickhouse.store);
  });

  test('a lane that somebody else takes writes nothing more, and its new owner stores what is missing', async () => {
    const [first, second] = await Promise.all([
      startPipeline({ clickhouse, settings: { flushRows: 1000, flushIntervalMs: 20 } }),
      startPipeline({ clickhouse }),
    ]);
    const topic = await assign(first);
    const delivering = deliver(first, topic, { batchCount: 60 }).catch((error: unknown) => error);
    await until(async () => (await stored('logs', topic)).rows > 0, { timeoutMs: 30_000 });
    await assign(second, topic);
    await deliver(second, topic, { batchCount: 60 });
    await untilStored(second);
    expect(await delivering).toSatisfy((error) => error === undefined || error instanceof MillraceError);
    await until(() => [...first.pipeline.kafkaLanes.lanes].every(({ isClosed }) => isClosed), {
      timeoutMs: 30_000,
    }).catch(() => undefined);
    expect(await stored('logs', topic)).toEqual({ rows: 30_000, offsets: 30_000 });
    // What the first one is given now is refused: it has lost the lane and may not take it back by itself.
    await deliver(first, topic, { batchCount: 2, from: 30_000 }).catch(() => undefined);
    await until(() => first.telemetry.count('lane_lost') > 0, { timeoutMs: 30_000 });
    expect(await stored('logs', topic)).toEqual({ rows: 30_000, offsets: 30_000 });
    await Promise.all([first.stop(), second.stop()]);
  });

  test('rows that ClickHouse refuses become dead letters; all others of their batch are stored once', async () => {
    const { store } = clickhouse;
    await store.command("ALTER TABLE logs ADD CONSTRAINT refusing CHECK message != 'refuse me'");
    const subject = await startPipeline({ clickhouse });
    const topic = await assign(subject);
    const makeValue: MakeValue = (offset) => (offset === 777 ? '{"message":"refuse me"}' : eventOf(offset));
    await deliver(subject, topic, { batchCount: 6, makeValue });
    await untilStored(subject);
    await store.command('ALTER TABLE logs DROP CONSTRAINT refusing');
    expect(await stored('logs', topic)).toEqual({ rows: 2999, offsets: 2999 });
    const letters = await store.query(
      `SELECT offset, reason FROM dead_letters
       WHERE source = (SELECT any(number) FROM sources WHERE topic = {topic:String})`,
      { topic },
    );
    expect(letters).toEqual([{ offset: 777, reason: 'insert_refused' }]);
    expect(await subject.stop()).toBe(true);
  });

  test('a partition that was cut off goes on: offsets given anew are other records', async () => {
    const subject = await startPipeline({ clickhouse });
    const topic = await assign(subject);
    await deliver(subject, topic, { batchCount: 4 });
    await untilStored(subject);
    expect(await subject.pipeline.drain(10_000)).toBe(true);
    await subject.stop();
    const next = await startPipeline({ clickhouse });
    await assign(next, topic);
    const { kafkaLanes } = next.pipeline;
    const records = Array.from({ length: 100 }, (_, i) => ({ value: eventOf(i) }));
    const bytes = craftBatch({ records, baseOffset: 1000, codec: 'none', baseTimestampMs: NOW_MS + 60_000 });
    await kafkaLanes.onDelivery(
      {
        topic,
        partition: 0,
        epoch: kafkaLanes.epoch,
        fetchOffset: 1000,
        lostFromOffset: 2000,
        batches: [{ bytes, baseOffset: 1000, lastOffset: 1099 }],
        highWatermark: 1100,
      },
      heartbeat,
    );
    await untilStored(next);
    expect(await stored('logs', topic)).toEqual({ rows: 2100, offsets: 2000 });
    await next.stop();
  });
});
