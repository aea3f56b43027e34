import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { Delivery } from '../../src/pipeline/ports.ts';
import { createTopic, kafkaClient, produce, uniqueName } from '../support/kafka.ts';
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

function partitionsOf(collector: Collector): number[] {
  return (collector.assignments.at(-1)?.partitions ?? []).map(({ partition }) => partition);
}

async function produceOnePerPartition(topic: string, partitions: number): Promise<void> {
  await produce(
    topic,
    Array.from({ length: partitions }, (_, partition) => ({ partition, value: 'x' })),
  );
}

async function committedOffsets(groupId: string, topic: string): Promise<number[]> {
  const admin = kafkaClient().admin();
  await admin.connect();
  const [answer] = await admin.fetchOffsets({ groupId, topics: [topic] });
  await admin.disconnect();
  return answer!.partitions.toSorted((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset));
}

describe('Kafka source in a group', () => {
  it('shares partitions with a second member, and refuses commits of the epoch before', async () => {
    const topic = await createTopic('shared', 4);
    const groupId = uniqueName('group');
    await produceOnePerPartition(topic, 4);
    const first = await start({ topics: [topic], groupId });
    await first.until(() => first.recordCount() === 4);
    const before = first.assignments.at(-1)!.epoch;
    await first.source.commit(before, [{ topic, partition: 0, offset: 1 }]);

    const second = await start({ topics: [topic], groupId });
    await second.until(() => second.assignments.length > 0 && partitionsOf(first).length === 2);
    expect([...partitionsOf(first), ...partitionsOf(second)].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    // Something was delivered in the new epoch, so that a commit as such would be possible.
    await first.until(() => first.deliveries.some(({ epoch }) => epoch > before));
    await expect(first.source.commit(before, [{ topic, partition: 1, offset: 1 }])).rejects.toMatchObject({
      code: 'lane_closed',
    });
    expect(await committedOffsets(groupId, topic)).toEqual([1, -1, -1, -1]);

    await second.stop();
    await first.until(() => partitionsOf(first).length === 4);
    await first.until(() => first.source.status().partitionCount === 4);
  });

  it('goes on from what was committed after a stop, and from the beginning where nothing was', async () => {
    const topic = await createTopic('resume', 2);
    const groupId = uniqueName('group');
    for (let i = 0; i < 3; i++) await produceOnePerPartition(topic, 2);
    const first = await start({ topics: [topic], groupId });
    await first.until(() => first.recordCount() === 6);
    await first.source.commit(first.assignments.at(-1)!.epoch, [{ topic, partition: 1, offset: 2 }]);
    await first.stop();
    await expect(
      first.source.commit(first.assignments.at(-1)!.epoch, [{ topic, partition: 1, offset: 3 }]),
    ).rejects.toMatchObject({ code: 'lane_closed' });

    const second = await start({ topics: [topic], groupId });
    await second.until(() => second.recordCount() >= 4);
    const from = new Map(second.deliveries.toReversed().map((one) => [one.partition, one.fetchOffset]));
    expect(from).toEqual(
      new Map([
        [0, 0],
        [1, 2],
      ]),
    );
  });

  it('stays in the group while a delivery waits longer than the session time', async () => {
    const topic = await createTopic('wait', 1);
    await produce(topic, [{ value: 'slow' }]);
    let waits = 0;
    const collector = await start({
      topics: [topic],
      sessionTimeoutMs: 1500,
      onDelivery: async () => {
        waits++;
        await delay(4000);
      },
    });
    await collector.until(() => collector.recordCount() === 1);
    expect(waits).toBe(1);
    expect(collector.assignments).toHaveLength(1);
    await collector.source.commit(1, [{ topic, partition: 0, offset: 1 }]);
  });

  it('does not deliver before the assignment was taken in', async () => {
    const topic = await createTopic('gate', 1);
    await produce(topic, [{ value: 'x' }]);
    const order: string[] = [];
    const collector = await start({
      topics: [topic],
      onAssigned: async () => {
        await delay(500);
        order.push('assigned');
      },
      onDelivery: async () => {
        order.push('delivered');
        await Promise.resolve();
      },
    });
    await collector.until(() => collector.recordCount() === 1);
    expect(order).toEqual(['assigned', 'delivered']);
  });

  it('stops within its deadline while a delivery waits for ever, and leaves the group', async () => {
    const topic = await createTopic('stuck', 1);
    const groupId = uniqueName('group');
    await produce(topic, [{ value: 'x' }]);
    let isWaiting = false;
    const collector = await start({
      topics: [topic],
      groupId,
      onDelivery: () => {
        isWaiting = true;
        return new Promise<void>(() => undefined);
      },
    });
    await collector.until(() => isWaiting);
    const before = performance.now();
    await collector.source.stop(5000);
    expect(performance.now() - before).toBeLessThan(3000);
    expect(collector.source.status().state).toBe('stopped');
    const next = await start({ topics: [topic], groupId });
    await next.until(() => next.recordCount() === 1, 5000);
  });

  it('begins again under a new epoch after the handler crashed the consumer', async () => {
    const topic = await createTopic('crash', 1);
    await produce(topic, [{ value: 'x' }]);
    let failures = 0;
    const collector = await start({
      topics: [topic],
      onDelivery: async () => {
        await Promise.resolve();
        if (failures++ === 0) throw new TypeError('a fault that kafkajs does not retry');
      },
    });
    await collector.until(() => collector.recordCount() === 1);
    const [delivery] = collector.deliveries as [Delivery];
    expect(delivery.epoch).toBe(2);
    expect(delivery.fetchOffset).toBe(0);
    const crashes = collector.telemetry.events.filter(({ event }) => event === 'kafka_crashed');
    expect(crashes.map(({ fields }) => String(fields['error']))).toEqual([
      expect.stringContaining('a fault that kafkajs does not retry'),
    ]);
  });
});
