import { crc32c } from '@node-rs/crc32';
import { afterEach, describe, expect, it } from 'vitest';
import { loadKafkajs } from '../../src/bus/load-kafkajs.ts';
import { createTopic, kafkaBrokers, kafkaClient, produce, uniqueName } from '../support/kafka.ts';
import { runKafkaTool } from '../support/kafka-jars.ts';
import { allBatches, type CollectOptions, type Collector, collect } from '../support/source-collector.ts';

const running: Collector[] = [];

async function start(options: CollectOptions): Promise<Collector> {
  const collector = await collect(options);
  running.push(collector);
  return collector;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((collector) => collector.stop()));
});

describe('Kafka source', () => {
  it('delivers every batch once, in order, with its offsets and a right CRC', async () => {
    const topic = await createTopic('plain', 2);
    for (let i = 0; i < 10; i++) {
      const values = Array.from({ length: 50 }, (_, j) => ({ value: `${i}/${j}`, partition: j % 2 }));
      await produce(topic, values);
    }
    const collector = await start({ topics: [topic] });
    await collector.until(() => collector.recordCount() >= 500);
    for (const partition of [0, 1]) {
      let next = 0;
      for (const delivery of collector.deliveries.filter((one) => one.partition === partition)) {
        expect(delivery.fetchOffset).toBe(next);
        for (const { bytes, baseOffset, lastOffset } of delivery.batches) {
          expect(baseOffset).toBe(next);
          expect(lastOffset - baseOffset + 1).toBe(Buffer.from(bytes).readInt32BE(57));
          next = lastOffset + 1;
        }
        expect(delivery.highWatermark).toBe(250);
      }
      expect(next).toBe(250);
    }
    for (const bytes of allBatches(collector.deliveries)) expectIntact(bytes);
    expect(collector.source.clusterId).not.toBe('');
    expect(collector.source.status()).toMatchObject({
      state: 'running',
      isConnected: true,
      partitionCount: 2,
    });
  });

  it.each([
    ['gzip', 1],
    ['snappy', 2],
    ['lz4', 3],
    ['zstd', 4],
  ])('passes batches that a Java producer compressed with %s', async (codec, id) => {
    const topic = await createTopic(codec);
    const lines = Array.from(
      { length: 1000 },
      (_, i) => `{"seq":${i},"message":"the same text again and again"}`,
    );
    const args = [
      '--bootstrap-server',
      kafkaBrokers().join(','),
      '--topic',
      topic,
      '--compression-codec',
      codec,
    ];
    await runKafkaTool('org.apache.kafka.tools.ConsoleProducer', args, `${lines.join('\n')}\n`);
    const collector = await start({ topics: [topic] });
    await collector.until(() => collector.recordCount() >= 1000);
    const batches = allBatches(collector.deliveries);
    expect(collector.recordCount()).toBe(1000);
    for (const bytes of batches) {
      expect(bytes.readInt16BE(21) & 7).toBe(id);
      expectIntact(bytes);
    }
  });

  it('passes a record batch of 200,000 records', async () => {
    const topic = await createTopic('huge', 1, { config: { 'max.message.bytes': '33554432' } });
    const props = [
      'batch.size=33554432',
      'linger.ms=20000',
      'max.request.size=33554432',
      'buffer.memory=67108864',
    ];
    const load = ['--topic', topic, '--num-records', '200000', '--record-size', '20', '--throughput', '-1'];
    const args = [...load, '--producer-props', `bootstrap.servers=${kafkaBrokers().join(',')}`, ...props];
    await runKafkaTool('org.apache.kafka.tools.ProducerPerformance', args);
    const collector = await start({ topics: [topic] });
    await collector.until(() => collector.recordCount() >= 200_000);
    const batches = allBatches(collector.deliveries);
    expect(batches.map((bytes) => bytes.readInt32BE(57))).toEqual([200_000]);
    for (const bytes of batches) expectIntact(bytes);
  });

  it('makes progress on a batch larger than what it asks for, and goes on behind it', async () => {
    const topic = await createTopic('large', 1, { config: { 'max.message.bytes': '33554432' } });
    await produce(topic, [{ value: Buffer.alloc(10 << 20, 'x') }]);
    await produce(topic, [{ value: 'behind' }]);
    const collector = await start({ topics: [topic], maxBytes: 1 << 20, maxBytesPerPartition: 64 << 10 });
    await collector.until(() => collector.recordCount() === 2);
    expect(allBatches(collector.deliveries)[0]!.length).toBeGreaterThan(10 << 20);
  });

  it('delivers committed transactions and leaves out aborted ones and markers', async () => {
    const topic = await createTopic('tx');
    await sendTransactions(topic, ['abort', 'commit', 'abort', 'abort', 'commit']);
    await produce(topic, [{ value: 'plain' }]);
    const collector = await start({ topics: [topic] });
    await collector.until(() => allBatches(collector.deliveries).some((bytes) => bytes.includes('plain')));
    const seen = allBatches(collector.deliveries).map(
      (bytes) => /(?:tx\d-(?:commit|abort)|plain)/.exec(bytes.toString())?.[0],
    );
    expect(seen).toEqual(['tx1-commit', 'tx4-commit', 'plain']);
  });

  it('leaves out aborted data of several open transactions when it begins in their midst', async () => {
    const topic = await createTopic('tx-open');
    const { Partitioners } = loadKafkajs();
    const producers = [0, 1, 2].map(() =>
      kafkaClient().producer({
        transactionalId: uniqueName('tx'),
        maxInFlightRequests: 1,
        idempotent: true,
        createPartitioner: Partitioners.DefaultPartitioner,
      }),
    );
    const transactions = [];
    for (const [i, producer] of producers.entries()) {
      await producer.connect();
      const transaction = await producer.transaction();
      transactions.push(transaction);
      await transaction.send({ topic, messages: [{ value: `first-${i}` }] });
    }
    for (const transaction of transactions)
      await transaction.send({ topic, messages: [{ value: 'second' }] });
    for (const transaction of transactions) await transaction.abort();
    await Promise.all(producers.map((producer) => producer.disconnect()));
    await produce(topic, [{ value: 'after' }]);
    const groupId = uniqueName('group');
    const admin = kafkaClient().admin();
    await admin.connect();
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '3' }] });
    await admin.disconnect();
    const collector = await start({ topics: [topic], groupId });
    await collector.until(() => allBatches(collector.deliveries).some((bytes) => bytes.includes('after')));
    expect(collector.deliveries[0]!.fetchOffset).toBe(3);
    expect(allBatches(collector.deliveries)).toHaveLength(1);
  });

  it('creates the topics that the cluster lacks and says so', async () => {
    const topic = uniqueName('missing');
    const collector = await start({ topics: [topic], newTopicPartitions: 3 });
    await collector.until(() => collector.assignments.length > 0);
    expect(collector.assignments[0]!.partitions).toHaveLength(3);
    const created = collector.telemetry.events.filter(({ event }) => event === 'kafka_topics_created');
    expect(created.map(({ fields }) => fields['topics'])).toEqual([topic]);
  });

  it('tells which offsets were deleted before they were read', async () => {
    const topic = await createTopic('lost');
    for (let i = 0; i < 5; i++) await produce(topic, [{ value: `a${i}` }, { value: `b${i}` }]);
    const groupId = uniqueName('group');
    const admin = kafkaClient().admin();
    await admin.connect();
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '2' }] });
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '6' }] });
    await admin.disconnect();
    const collector = await start({ topics: [topic], groupId });
    await collector.until(() => collector.recordCount() >= 4);
    expect(collector.deliveries[0]).toMatchObject({ fetchOffset: 6, lostFromOffset: 2 });
    const lost = collector.telemetry.events.filter(({ event }) => event === 'records_lost_upstream');
    expect(lost.map(({ amount }) => amount)).toEqual([4]);
  });
});

/** The CRC-32C of a batch covers everything from its attributes on. */
function expectIntact(bytes: Buffer): void {
  expect(crc32c(bytes.subarray(21))).toBe(bytes.readUInt32BE(17));
}

async function sendTransactions(topic: string, ends: readonly ('commit' | 'abort')[]): Promise<void> {
  const { Partitioners } = loadKafkajs();
  const producer = kafkaClient().producer({
    transactionalId: uniqueName('tx'),
    maxInFlightRequests: 1,
    idempotent: true,
    createPartitioner: Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  for (const [i, end] of ends.entries()) {
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ value: `tx${i}-${end}` }] });
    await transaction[end]();
  }
  await producer.disconnect();
}
