import { createRequire } from 'node:module';
import { afterEach, describe, expect, it } from 'vitest';
import type { Delivery } from '../../src/pipeline/ports.ts';
import { createTopic, kafkaClient, produce, uniqueName } from '../support/kafka.ts';
import { deleteTopic, makeTopic, topicExists, topicIdOf } from '../support/kafka-topics.ts';
import { allBatches, type CollectOptions, type Collector, collect } from '../support/source-collector.ts';

const require = createRequire(import.meta.url);
const running: Collector[] = [];

async function start(options: CollectOptions): Promise<Collector> {
  const collector = await collect(options);
  running.push(collector);
  return collector;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((collector) => collector.stop()));
});

function messages(label: string, count: number): { value: string }[] {
  return Array.from({ length: count }, (_, i) => ({ value: `${label}-${i}.` }));
}

/** The values in a delivery, whatever else its batches hold. */
function valuesOf(deliveries: readonly Delivery[], label: string): string[] {
  return allBatches(deliveries).flatMap((bytes) =>
    [...bytes.toString('latin1').matchAll(new RegExp(`${label}-\\d+\\.`, 'g'))].map(([value]) => value),
  );
}

function idsByEpoch({ assignments }: Collector, topic: string): Map<number, string> {
  return new Map(
    assignments.flatMap(({ epoch, partitions }) =>
      partitions.filter((each) => each.topic === topic).map(({ topicId }) => [epoch, topicId] as const),
    ),
  );
}

/** All that was delivered of `topic` in epochs of one id. */
function deliveriesOf(collector: Collector, topic: string, isId: (id: string) => boolean): Delivery[] {
  const ids = idsByEpoch(collector, topic);
  return collector.deliveries.filter((each) => each.topic === topic && isId(ids.get(each.epoch) ?? ''));
}

/**
 * The source reads 100 records and commits. While its handler holds one more, so that nothing is fetched, the topic is
 * made again with `newCount` others.
 */
async function makeAgain(newCount: number) {
  const topic = await createTopic('again');
  const oldId = await topicIdOf(topic);
  await produce(topic, messages('old', 100));
  const groupId = uniqueName('group');
  let letGo: () => void = () => undefined;
  let isHeld = false;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const collector = await start({
    topics: [topic],
    groupId,
    onDelivery: async ({ fetchOffset }) => {
      if (fetchOffset !== 100 || isHeld) return;
      isHeld = true;
      await held;
    },
  });
  await collector.until(() => collector.recordCount() === 100);
  await collector.source.commit(1, [{ topic, partition: 0, offset: 100 }]);
  await produce(topic, messages('old', 1));
  await collector.until(() => isHeld);
  await deleteTopic(topic);
  await makeTopic(topic);
  await produce(topic, messages('new', newCount));
  letGo();
  await collector.until(() => valuesOf(collector.deliveries, 'new').length >= newCount);
  const newId = await topicIdOf(topic);
  const ofOld = deliveriesOf(collector, topic, (id) => id === oldId);
  const ofNew = deliveriesOf(collector, topic, (id) => id === newId);
  return {
    areIdsDifferent: newId !== oldId,
    otherDeliveryCount: collector.deliveries.length - ofOld.length - ofNew.length,
    underOldId: [valuesOf(ofOld, 'old').length, valuesOf(ofOld, 'new').length],
    underNewId: valuesOf(ofNew, 'new'),
    firstOffset: ofNew[0]?.fetchOffset,
    lossCount: collector.deliveries.filter(({ lostFromOffset }) => lostFromOffset !== undefined).length,
  };
}

/** What `makeAgain` must see. */
function apart(newCount: number): Awaited<ReturnType<typeof makeAgain>> {
  return {
    areIdsDifferent: true,
    otherDeliveryCount: 0,
    underOldId: [101, 0],
    underNewId: messages('new', newCount).map(({ value }) => value),
    firstOffset: 0,
    lossCount: 0,
  };
}

describe('Kafka source and the ids of topics', () => {
  it('is told the id of each topic with its assignment', async () => {
    const topics = [await createTopic('id', 2), await createTopic('id')];
    const collector = await start({ topics });
    await collector.until(() => collector.assignments.length > 0);
    for (const topic of topics) {
      expect(idsByEpoch(collector, topic).get(1)).toBe(await topicIdOf(topic));
    }
  });

  it('reads a topic that was made again from its beginning, as another topic', async () => {
    expect(await makeAgain(60)).toEqual(apart(60));
  });

  it('keeps them apart when the new one reaches past the old position at once', async () => {
    expect(await makeAgain(150)).toEqual(apart(150));
  });

  it('keeps them apart on a broker that cannot fetch by id', async () => {
    const { prototype } = require('kafkajs/src/broker') as {
      prototype: { connect: (this: { versions: Record<number, unknown> }) => Promise<void> };
    };
    const { connect } = prototype;
    prototype.connect = async function connectToOlder() {
      await connect.call(this);
      this.versions[1] = { minVersion: 0, maxVersion: 12 };
    };
    try {
      expect(await makeAgain(150)).toEqual(apart(150));
    } finally {
      prototype.connect = connect;
    }
  });

  it('does not go on from a commit that was made for the topic before', async () => {
    const topic = await createTopic('stale');
    await produce(topic, messages('new', 50));
    const groupId = uniqueName('group');
    await commitWith(topic, { groupId, metadata: 'topic-id:AAAAAAAAAAAAAAAAAAAAAQ' });
    const collector = await start({ topics: [topic], groupId, fromBeginning: false });
    await collector.until(() => collector.recordCount() === 50);
    expect(collector.deliveries[0]).toMatchObject({ fetchOffset: 0 });
  });

  it('goes on from a commit that says nothing of an id, and from its own', async () => {
    const topic = await createTopic('own');
    await produce(topic, messages('new', 50));
    const groupId = uniqueName('group');
    await commitWith(topic, { groupId, metadata: '' });
    const first = await start({ topics: [topic], groupId });
    await first.until(() => first.recordCount() > 0);
    expect(first.deliveries[0]).toMatchObject({ fetchOffset: 20 });
    await first.source.commit(first.deliveries[0]!.epoch, [{ topic, partition: 0, offset: 50 }]);
    await first.stop();
    await produce(topic, messages('more', 1));
    const second = await start({ topics: [topic], groupId });
    await second.until(() => second.deliveries.length > 0);
    expect(second.deliveries[0]).toMatchObject({ fetchOffset: 50 });
  });

  it('reads on while one topic is gone, says so, does not make it again, and goes on when it is back', async () => {
    const [gone, stays] = [await createTopic('gone'), await createTopic('stays')];
    await produce(gone, messages('old', 10));
    const collector = await start({ topics: [gone, stays] });
    await collector.until(() => valuesOf(collector.deliveries, 'old').length === 10);
    expect(collector.source.status().lastError).toBeUndefined();
    await deleteTopic(gone);
    await collector.until(
      () => collector.source.status().lastError?.includes('does not exist') === true,
      20_000,
    );
    expect(collector.source.status()).toMatchObject({
      state: 'running',
      isConnected: true,
      partitionCount: 1,
    });
    expect(collector.source.status().lastError).toContain(gone);
    await produce(stays, messages('other', 10));
    await collector.until(() => valuesOf(collector.deliveries, 'other').length === 10, 10_000);
    expect(await topicExists(gone)).toBe(false);
    await makeTopic(gone);
    await produce(gone, messages('new', 10));
    await collector.until(() => valuesOf(collector.deliveries, 'new').length === 10, 20_000);
    expect(collector.source.status().lastError).toBeUndefined();
    expect(new Set(idsByEpoch(collector, gone).values()).size).toBe(2);
  });

  it('stays up while its only topic is gone', async () => {
    const topic = await createTopic('only');
    const collector = await start({ topics: [topic] });
    await collector.until(() => collector.source.status().isConnected);
    await deleteTopic(topic);
    await collector.until(() => collector.source.status().state === 'waiting', 20_000);
    await collector.until(() => collector.source.status().lastError?.includes('does not exist') === true);
    expect(collector.source.status()).toMatchObject({ isConnected: false, partitionCount: 0 });
    expect(await topicExists(topic)).toBe(false);
    await makeTopic(topic);
    await produce(topic, messages('new', 10));
    await collector.until(() => collector.recordCount() === 10, 30_000);
  });
});

async function commitWith(
  topic: string,
  { groupId, metadata }: { readonly groupId: string; readonly metadata: string },
): Promise<void> {
  const consumer = kafkaClient().consumer({ groupId, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic] });
  const joined = new Promise<void>((resolve) => {
    consumer.on(consumer.events.GROUP_JOIN, () => {
      resolve();
    });
  });
  await consumer.run({ autoCommit: false, eachBatch: () => Promise.resolve() });
  await joined;
  await consumer.commitOffsets([{ topic, partition: 0, offset: '20', metadata }]);
  await consumer.disconnect();
}
