/**
 * What deliveries can do to lanes, by hand: overlap, start anew, hold far more than their bytes let expect.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DirectSource } from '../../src/pipeline/direct-source.ts';
import type { Delivery } from '../../src/pipeline/ports.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { uniqueName } from '../support/kafka.ts';
import { startPipeline, type TestPipeline } from '../support/pipeline.ts';
import { type CraftedCodec, craftBatch } from '../support/record-batches.ts';
import { until } from '../support/until.ts';

let clickhouse: TestClickHouse;
let subject: TestPipeline;
beforeAll(async () => {
  clickhouse = await startClickHouse();
  subject = await startPipeline({ clickhouse });
});
afterAll(async () => {
  await subject.stop();
  await clickhouse.stop();
});

const NOW_MS = Date.now();

function batch(
  baseOffset: number,
  recordCount: number,
  { codec = 'none', timeMs = NOW_MS }: { codec?: CraftedCodec; timeMs?: number } = {},
) {
  const records = Array.from({ length: recordCount }, (_, index) => ({
    value: JSON.stringify({
      service: 'deliveries',
      message: `record ${baseOffset + index}`,
      metadata: { a: 'b' },
    }),
  }));
  const bytes = craftBatch({ records, baseOffset, codec, baseTimestampMs: timeMs });
  return { bytes, baseOffset, lastOffset: baseOffset + recordCount - 1 };
}

function delivery(topic: string, batches: Delivery['batches'], fetchOffset = 0): Delivery {
  const highWatermark = (batches.at(-1)?.lastOffset ?? -1) + 1;
  return {
    topic,
    partition: 0,
    epoch: subject.pipeline.kafkaLanes.epoch,
    fetchOffset,
    batches,
    highWatermark,
  };
}

async function assign(): Promise<string> {
  const topic = uniqueName('by-hand');
  const { kafkaLanes } = subject.pipeline;
  await kafkaLanes.onAssigned(kafkaLanes.epoch + 1, [{ topic, partition: 0, topicId: '' }]);
  return topic;
}

async function untilStored(): Promise<void> {
  await until(() => subject.pipeline.coordinator.inFlightCount === 0, { timeoutMs: 60_000 });
}

async function stored(topic: string): Promise<{ rows: number; offsets: number }> {
  const [row] = await clickhouse.store.query<{ rows: number; offsets: number }>(
    `SELECT count() AS rows, uniqExact(offset) AS offsets FROM logs
     WHERE source = (SELECT any(number) FROM sources WHERE topic = {topic:String})`,
    { topic },
  );
  return row ?? { rows: 0, offsets: 0 };
}

const heartbeat = (): Promise<void> => Promise.resolve();

describe('deliveries', () => {
  test('that overlap, because one was given up while it waited, store each record once', async () => {
    const topic = await assign();
    const { kafkaLanes } = subject.pipeline;
    const batches = [batch(0, 500), batch(500, 500)];
    await Promise.all([
      kafkaLanes.onDelivery(delivery(topic, batches), heartbeat),
      kafkaLanes.onDelivery(delivery(topic, batches), heartbeat),
    ]);
    await kafkaLanes.onDelivery(delivery(topic, [batch(900, 300)], 900), heartbeat);
    await untilStored();
    expect(await stored(topic)).toEqual({ rows: 1200, offsets: 1200 });
    expect(subject.pipeline.arena.usedBytes).toBe(0);
  });

  test('of a partition that went back are refused until the next assignment, and not taken for old ones', async () => {
    const topic = await assign();
    const { kafkaLanes } = subject.pipeline;
    await kafkaLanes.onDelivery(delivery(topic, [batch(0, 1000)]), heartbeat);
    const again = () => {
      const batches = [batch(0, 400, { timeMs: NOW_MS + 60_000 })];
      return kafkaLanes.onDelivery({ ...delivery(topic, batches), lostFromOffset: 1000 }, heartbeat);
    };
    await expect(again()).rejects.toMatchObject({ code: 'lane_closed' });
    await untilStored();
    await kafkaLanes.onAssigned(kafkaLanes.epoch + 1, [{ topic, topicId: '', partition: 0 }]);
    await again();
    await untilStored();
    expect((await stored(topic)).rows).toBe(1400);
  });

  test('that hold a hundred times their bytes are parsed in parts, within the share of blocks', async () => {
    const topic = await assign();
    const { kafkaLanes, coordinator } = subject.pipeline;
    let peakBytes = 0;
    const watch = setInterval(() => {
      peakBytes = Math.max(peakBytes, coordinator.blockBytes);
    }, 5);
    const batches = Array.from({ length: 6 }, (_, index) =>
      batch(index * 100_000, 100_000, { codec: 'gzip' }),
    );
    for (const each of batches) {
      await kafkaLanes.onDelivery(delivery(topic, [each], each.baseOffset), heartbeat);
    }
    await untilStored();
    clearInterval(watch);
    expect(await stored(topic)).toEqual({ rows: 600_000, offsets: 600_000 });
    expect(peakBytes).toBeGreaterThan(1024 * 1024);
    expect(peakBytes).toBeLessThan(96 * 1024 * 1024);
  });

  test('over HTTP of very many lines are answered with exact counts', async () => {
    const { arena, coordinator, pool, ownership } = subject.pipeline;
    const [standing] = await ownership.claim([{ source: 200, partition: 1 }]);
    if (standing === undefined) throw new Error('the lane could not be claimed');
    const lane = coordinator.openLane({ ...standing, name: 'http', startOffset: 0 }, standing);
    const source = new DirectSource({
      arena,
      coordinator,
      pool,
      clock: { now: () => Date.now(), steady: () => performance.now() },
      refusal: () => undefined,
      openLane: () => Promise.resolve(lane),
    });
    await source.start();
    const body = new TextEncoder().encode(`${'a\n'.repeat(150_000)}${'{\n'.repeat(2000)}`);
    const outcome = await source.submit(body.buffer, 'ndjson');
    expect(outcome).toMatchObject({ kind: 'stored', acceptedCount: 150_000, rejectedCount: 2000 });
    expect(outcome.kind === 'stored' && outcome.rejected[0]).toMatchObject({
      line: 150_001,
      code: 'malformed_json',
    });
    coordinator.closeLane(lane);
    expect(arena.usedBytes).toBe(0);
  });
});
