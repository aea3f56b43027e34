import { afterEach, describe, expect, it } from 'vitest';
import { PRODUCE_CODECS } from '../../src/bus/compress-records.ts';
import {
  createKafkaProducer,
  type KafkaProducer,
  type KafkaProducerOptions,
} from '../../src/bus/kafka-producer.ts';
import { type ReadRecord, readTopic } from '../../src/bus/kafka-reader.ts';
import {
  createTopic,
  kafkaBrokers,
  kafkaClient,
  produce,
  recordTelemetry,
  uniqueName,
} from '../support/kafka.ts';
import { runKafkaTool } from '../support/kafka-jars.ts';

const connection = { brokers: kafkaBrokers(), clientId: 'test' };
const open: KafkaProducer[] = [];

async function createProducer(options: Partial<KafkaProducerOptions> = {}): Promise<KafkaProducer> {
  const producer = await createKafkaProducer({ ...connection, ...options }, recordTelemetry());
  open.push(producer);
  return producer;
}

async function readAll(topic: string): Promise<ReadRecord[]> {
  const all: ReadRecord[] = [];
  await readTopic(
    { ...connection, topic, from: 'beginning', isFollowing: false },
    async (records) => {
      all.push(...records);
      await Promise.resolve();
    },
    recordTelemetry(),
  );
  return all;
}

const textOf = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString();

afterEach(async () => {
  await Promise.all(open.splice(0).map((producer) => producer.disconnect()));
});

describe('Kafka producer', () => {
  it.each(PRODUCE_CODECS)(
    'sends what a Java consumer reads back, compressed with %s',
    async (compression) => {
      const topic = await createTopic(`produced-${compression}`);
      const producer = await createProducer({ compression });
      const values = Array.from(
        { length: 3000 },
        (_, i) => `{"seq":${i},"text":"ünï the same again and again"}`,
      );
      await producer.send(
        topic,
        values.map((value, i) => ({
          key: `k${i}`,
          value,
          timestamp: 1_700_000_000_000 - i,
          headers: { h: 'x' },
        })),
      );
      const where = [
        '--bootstrap-server',
        connection.brokers.join(','),
        '--topic',
        topic,
        '--from-beginning',
      ];
      const until = ['--max-messages', '3000', '--timeout-ms', '20000'];
      const what = ['timestamp', 'headers', 'key'].flatMap((name) => [
        '--formatter-property',
        `print.${name}=true`,
      ]);
      const args = [...where, ...until, ...what];
      const printed = await runKafkaTool('org.apache.kafka.tools.consumer.ConsoleConsumer', args);
      const expected = values.map((value, i) => `CreateTime:${1_700_000_000_000 - i}\th:x\tk${i}\t${value}`);
      expect(printed.split('\n').filter((line) => line.startsWith('CreateTime'))).toEqual(expected);
    },
  );

  it('puts keys where other clients put them, and explicit partitions where asked', async () => {
    const topic = await createTopic('keys', 6);
    const keys = Array.from({ length: 60 }, (_, i) => `host-${i}`);
    await produce(
      topic,
      keys.map((key) => ({ key, value: 'kafkajs' })),
    );
    const producer = await createProducer();
    await producer.send(
      topic,
      keys.map((key, i) => ({ key: i % 2 === 0 ? key : Buffer.from(key), value: 'own' })),
    );
    await producer.send(topic, [{ key: 'host-0', value: 'asked', partition: 5 }]);
    const partitions = new Map<string, Set<number>>();
    for (const { key, value, partition } of await readAll(topic)) {
      const name = textOf(value) === 'asked' ? 'asked' : (textOf(key) ?? '');
      partitions.set(name, (partitions.get(name) ?? new Set()).add(partition));
    }
    expect(partitions.get('asked')).toEqual(new Set([5]));
    for (const key of keys) expect(partitions.get(key)?.size).toBe(1);
    await expect(producer.send(topic, [{ value: 'x', partition: 6 }])).rejects.toThrow(
      'There is no partition 6',
    );
  });

  it('splits what is too large for one batch and keeps the order', async () => {
    const topic = await createTopic('split', 1);
    const producer = await createProducer({ maxBatchBytes: 10_000 });
    const values = Array.from({ length: 1000 }, (_, i) => `${i} ${'x'.repeat(100)}`);
    await producer.send(
      topic,
      values.map((value) => ({ value })),
    );
    const records = await readAll(topic);
    expect(records.map(({ value }) => textOf(value))).toEqual(values);
    expect(records.map(({ offset }) => offset)).toEqual(values.map((_, i) => i));
  });

  it('says when a message is too large for the broker', async () => {
    const topic = await createTopic('too-large', 1, { config: { 'max.message.bytes': '1000' } });
    const producer = await createProducer();
    await expect(producer.send(topic, [{ value: 'x'.repeat(2000) }])).rejects.toMatchObject({
      code: 'payload_too_large',
    });
  });

  it('creates a missing topic, and says when no broker can be reached', async () => {
    const topic = uniqueName('new');
    const producer = await createProducer({ newTopicPartitions: 2 });
    await producer.send(topic, [{ value: null, key: 'tombstone' }]);
    expect((await readAll(topic)).map(({ key, value }) => [textOf(key), value])).toEqual([
      ['tombstone', null],
    ]);
    await expect(createProducer({ brokers: ['127.0.0.1:1'] })).rejects.toMatchObject({
      code: 'bus_unavailable',
    });
  });
});

describe('readTopic', () => {
  it('ends at the present end, even behind aborted and control batches', async () => {
    const topic = await createTopic('read-end', 2);
    await produce(topic, [{ value: 'a', partition: 0 }]);
    const producer = kafkaClient().producer({ transactionalId: uniqueName('tx'), maxInFlightRequests: 1 });
    await producer.connect();
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ value: 'aborted', partition: 0 }] });
    await transaction.abort();
    await producer.disconnect();
    expect((await readAll(topic)).map(({ value }) => textOf(value))).toEqual(['a']);
  });

  it('begins at an offset, moved into what there is', async () => {
    const topic = await createTopic('read-from', 2);
    for (let i = 0; i < 5; i++) await produce(topic, [{ value: `p${i}`, partition: 0 }]);
    await produce(topic, [{ value: 'other', partition: 1 }]);
    const seen: (string | null)[] = [];
    const summary = await readTopic(
      { ...connection, topic, from: 3, isFollowing: false },
      async (records) => {
        seen.push(...records.map(({ value }) => textOf(value)));
        await Promise.resolve();
      },
      recordTelemetry(),
    );
    expect(seen).toEqual(['p3', 'p4']);
    expect(summary).toEqual({ recordCount: 2, unreadableCount: 0 });
  });

  it('follows until it is told to stop', async () => {
    const topic = await createTopic('read-follow', 1);
    await produce(topic, [{ value: 'old' }]);
    const stop = new AbortController();
    const seen: (string | null)[] = [];
    let sent = false;
    const timer = setInterval(() => {
      if (!sent) void produce(topic, [{ value: 'new' }]);
      sent = true;
    }, 1500);
    const summary = await readTopic(
      { ...connection, topic, from: 'end', isFollowing: true, signal: stop.signal },
      async (records) => {
        seen.push(...records.map(({ value }) => textOf(value)));
        stop.abort();
        await Promise.resolve();
      },
      recordTelemetry(),
    );
    clearInterval(timer);
    expect(seen).toEqual(['new']);
    expect(summary.unreadableCount).toBe(0);
  });

  it('rejects with what the receiver rejects with, and for a topic that is not there', async () => {
    const topic = await createTopic('read-fail', 1);
    await produce(topic, [{ value: 'x' }]);
    const options = { ...connection, topic, from: 'beginning', isFollowing: false } as const;
    const failing = readTopic(options, () => Promise.reject(new Error('disk full')), recordTelemetry());
    await expect(failing).rejects.toThrow('disk full');
    const missing = readTopic({ ...options, topic: 'nowhere' }, () => Promise.resolve(), recordTelemetry());
    await expect(missing).rejects.toMatchObject({ code: 'not_found' });
  });
});
