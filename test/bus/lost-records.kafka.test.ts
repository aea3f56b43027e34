import { afterEach, describe, expect, it } from 'vitest';
import { loadKafkajs } from '../../src/bus/load-kafkajs.ts';
import { createTopic, kafkaClient, produce, uniqueName } from '../support/kafka.ts';
import { deleteRecords } from '../support/kafka-topics.ts';
import { type CollectOptions, type Collector, collect } from '../support/source-collector.ts';

const running: Collector[] = [];

async function start(options: CollectOptions): Promise<Collector> {
  const collector = await collect(options);
  running.push(collector);
  return collector;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((collector) => collector.stop()));
});

async function produceEach(topic: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await produce(topic, [{ value: 'x' }]);
}

/** A topic of ten records that was read up to offset 2 and lost those below `lostTo`. */
async function topicWithLoss(lostTo: number): Promise<{ topic: string; groupId: string }> {
  const topic = await createTopic('lost');
  const groupId = uniqueName('group');
  await produceEach(topic, 10);
  const collector = await start({ topics: [topic], groupId });
  await collector.until(() => collector.recordCount() === 10);
  await collector.source.commit(1, [{ topic, partition: 0, offset: 2 }]);
  await collector.stop();
  await deleteRecords(topic, lostTo);
  return { topic, groupId };
}

/** What was told as lost, as [first, end). */
function lossesOf({ deliveries }: Collector): [number, number][] {
  return deliveries.flatMap(({ lostFromOffset, fetchOffset }): [number, number][] =>
    lostFromOffset === undefined ? [] : [[lostFromOffset, fetchOffset]],
  );
}

function reportedCount({ telemetry }: Collector): number {
  const reports = telemetry.events.filter(({ event }) => event === 'records_lost_upstream');
  return reports.reduce((sum, { amount }) => sum + amount, 0);
}

describe('Kafka source, records deleted before they were read', () => {
  it('tells them at the start, and in each epoch until something behind them is committed', async () => {
    const { topic, groupId } = await topicWithLoss(6);
    const collector = await start({ topics: [topic], groupId });
    await collector.until(() => collector.recordCount() === 4);
    expect(lossesOf(collector)).toEqual([[2, 6]]);
    collector.source.rejoin(1, 'test');
    await collector.until(() => collector.recordCount() === 8);
    expect(lossesOf(collector)).toEqual([
      [2, 6],
      [2, 6],
    ]);
    await collector.source.commit(2, [{ topic, partition: 0, offset: 7 }]);
    collector.source.rejoin(2, 'test');
    await collector.until(() => collector.recordCount() === 11);
    expect(collector.deliveries.at(-1)).toMatchObject({ epoch: 3 });
    expect(lossesOf(collector)).toHaveLength(2);
    expect(reportedCount(collector)).toBe(4);
  });

  it('does not forget them when the assignment changes before anything was read', async () => {
    const { topic, groupId } = await topicWithLoss(10);
    const collector = await start({ topics: [topic], groupId, maxWaitMs: 100 });
    const isRecovered = (): boolean =>
      collector.telemetry.events.some(({ fields }) => String(fields['message']).includes('out of range'));
    await collector.until(isRecovered, 3000).catch(() => undefined);
    collector.source.rejoin(1, 'test');
    await collector.until(() => collector.assignments.length === 2);
    await produceEach(topic, 1);
    await collector.until(() => collector.recordCount() === 1);
    expect(lossesOf(collector)).toEqual([[2, 10]]);
    expect(reportedCount(collector)).toBe(8);
  });

  it('tells them exactly when it happens while running', async () => {
    const topic = await createTopic('lost');
    let letGo: () => void = () => undefined;
    const letGoAt = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let isHeld = false;
    const collector = await start({
      topics: [topic],
      onDelivery: async ({ fetchOffset }) => {
        if (fetchOffset < 10) return;
        isHeld = true;
        await letGoAt;
      },
    });
    await produceEach(topic, 10);
    await collector.until(() => collector.recordCount() === 10);
    // The eleventh is held, and nothing else is fetched meanwhile.
    await produceEach(topic, 1);
    await collector.until(() => isHeld);
    await produceEach(topic, 10);
    await deleteRecords(topic, 17);
    letGo();
    await collector.until(() => collector.deliveries.at(-1)?.batches.at(-1)?.lastOffset === 20);
    expect(lossesOf(collector)).toEqual([[11, 17]]);
    expect(reportedCount(collector)).toBe(6);
    expect(collector.recordCount()).toBe(15);
  });

  it('tells them again when the delivery that told them was not taken', async () => {
    const { topic, groupId } = await topicWithLoss(6);
    const seen: (number | undefined)[] = [];
    const collector = await start({
      topics: [topic],
      groupId,
      onDelivery: ({ lostFromOffset }) => {
        seen.push(lostFromOffset);
        return seen.length === 1 ? Promise.reject(new Error('not taken')) : Promise.resolve();
      },
    });
    await collector.until(() => collector.recordCount() === 4);
    expect(seen.slice(0, 2)).toEqual([2, 2]);
    expect(reportedCount(collector)).toBe(4);
  });

  it('does not count offsets without records among them', async () => {
    const { topic, groupId } = await topicWithLoss(10);
    const { Partitioners } = loadKafkajs();
    const producer = kafkaClient().producer({
      transactionalId: uniqueName('tx'),
      maxInFlightRequests: 1,
      idempotent: true,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ value: 'aborted' }] });
    await transaction.abort();
    await producer.disconnect();
    const collector = await start({ topics: [topic], groupId, maxWaitMs: 100, minBytes: 1 });
    await collector.until(() => collector.source.status().isConnected);
    // What was aborted, and its marker, are fetched and passed alone.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await produceEach(topic, 1);
    await collector.until(() => collector.deliveries.length > 0);
    expect(collector.deliveries[0]).toMatchObject({ lostFromOffset: 2, fetchOffset: 10 });
    expect(collector.deliveries[0]!.batches[0]!.baseOffset).toBe(12);
    expect(reportedCount(collector)).toBe(8);
  });
});

describe('Kafka source, rejoining', () => {
  it('ends the epoch at once and joins anew; what was not committed comes again', async () => {
    const topic = await createTopic('rejoin');
    await produceEach(topic, 5);
    const collector = await start({ topics: [topic] });
    await collector.until(() => collector.recordCount() === 5);
    await collector.source.commit(1, [{ topic, partition: 0, offset: 3 }]);
    const before = performance.now();
    collector.source.rejoin(1, 'A lane lost its token.');
    await expect(collector.source.commit(1, [{ topic, partition: 0, offset: 5 }])).rejects.toMatchObject({
      code: 'lane_closed',
    });
    await collector.until(() => collector.recordCount() === 7);
    expect(performance.now() - before).toBeLessThan(5000);
    expect(collector.deliveries.at(-1)).toMatchObject({ epoch: 2, fetchOffset: 3 });
    const told = collector.telemetry.events.filter(({ event }) => event === 'kafka_rejoins');
    expect(told.map(({ fields }) => fields)).toEqual([{ epoch: 1, reason: 'A lane lost its token.' }]);
    expect(collector.telemetry.events.some(({ event }) => event === 'kafka_crashed')).toBe(false);
  });

  it('is not held up by a delivery that waits, nor takes it for done', async () => {
    const topic = await createTopic('rejoin');
    await produceEach(topic, 1);
    let count = 0;
    const collector = await start({
      topics: [topic],
      onDelivery: () => (++count === 1 ? new Promise(() => undefined) : Promise.resolve()),
    });
    await collector.until(() => count === 1);
    const before = performance.now();
    collector.source.rejoin(1, 'test');
    await collector.until(() => collector.recordCount() === 1);
    expect(performance.now() - before).toBeLessThan(5000);
    expect(collector.deliveries[0]).toMatchObject({ epoch: 2, fetchOffset: 0 });
  });

  it('does nothing for an epoch that is over', async () => {
    const topic = await createTopic('rejoin');
    const collector = await start({ topics: [topic] });
    await collector.until(() => collector.assignments.length === 1);
    collector.source.rejoin(1, 'first');
    collector.source.rejoin(1, 'again');
    await collector.until(() => collector.assignments.length === 2);
    collector.source.rejoin(1, 'late');
    await produceEach(topic, 1);
    await collector.until(() => collector.recordCount() === 1);
    expect(collector.source.status()).toMatchObject({ epoch: 2, state: 'running' });
    expect(collector.telemetry.events.filter(({ event }) => event === 'kafka_rejoins')).toHaveLength(1);
  });
});
