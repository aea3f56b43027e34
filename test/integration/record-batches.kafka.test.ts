/** Batches that other clients or a damaged disk may bring, through the whole pipeline into ClickHouse. */
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createKafkaProducer } from '../../src/bus/kafka-producer.ts';
import type { FetchedBatch } from '../../src/pipeline/ports.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { createTopic, kafkaBrokers, recordTelemetry, uniqueName } from '../support/kafka.ts';
import { runKafkaTool } from '../support/kafka-jars.ts';
import { readLetters } from '../support/letters.ts';
import { startPipeline, type TestPipeline, type TestPipelineOptions } from '../support/pipeline.ts';
import { type CraftedBatch, craftBatch, sealBatch } from '../support/record-batches.ts';
import { expectCommittedToEnd } from '../support/stored.ts';

const MIB = 1024 * 1024;

let clickhouse: TestClickHouse;
const running: TestPipeline[] = [];
beforeAll(async () => {
  clickhouse = await startClickHouse();
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((pipeline) => pipeline.stop()));
});
afterAll(async () => {
  await clickhouse.stop();
});

async function start(options: Omit<TestPipelineOptions, 'clickhouse'>): Promise<TestPipeline> {
  const pipeline = await startPipeline({ clickhouse, ...options });
  running.push(pipeline);
  return pipeline;
}

/** Stops the pipeline, so that everything is stored and committed. */
async function finish(pipeline: TestPipeline): Promise<void> {
  running.splice(running.indexOf(pipeline), 1);
  expect(await pipeline.stop()).toBe(true);
}

const SOURCE_OF = 'source = (SELECT max(number) FROM sources WHERE topic = {topic:String})';

async function messagesOf(topic: string): Promise<string[]> {
  const rows = await clickhouse.store.query<{ message: string }>(
    `SELECT message FROM logs WHERE ${SOURCE_OF} ORDER BY partition, offset`,
    { topic },
  );
  return rows.map(({ message }) => message);
}

interface StoredLetter {
  readonly offset: number;
  readonly reason: string;
  readonly detail: string;
  readonly bytes: number;
  readonly sha256: string;
}

async function lettersOf(topic: string): Promise<StoredLetter[]> {
  const letters = await readLetters(clickhouse.store, SOURCE_OF, { topic });
  return letters.map(({ offset, reason, detail, bytes }) => ({
    offset,
    reason,
    detail,
    bytes: bytes.length,
    sha256: sha256(bytes),
  }));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe('the Java client’s codecs', () => {
  test.each(['gzip', 'snappy', 'lz4', 'zstd'])('%s', async (codec) => {
    const topic = await createTopic(`java-${codec}`);
    const messages = Array.from({ length: 5000 }, (_, i) => `event ${i} says ünï again and again and again`);
    const lines = messages.map((message) => JSON.stringify({ service: 'java', message })).join('\n');
    const where = ['--bootstrap-server', kafkaBrokers().join(','), '--topic', topic];
    const how = ['--compression-codec', codec, '--batch-size', '65536'];
    await runKafkaTool('org.apache.kafka.tools.ConsoleProducer', [...where, ...how], `${lines}\n`);
    const pipeline = await start({ topics: [topic] });
    await pipeline.untilReceived(messages.length);
    await finish(pipeline);
    expect(await messagesOf(topic)).toEqual(messages);
    await expectCommittedToEnd(pipeline.groupId, [topic]);
  });
});

describe('very large batches and records', () => {
  test('one batch of 200,000 records', async () => {
    const topic = await createTopic('huge-batch');
    const recordCount = 200_000;
    const connection = { brokers: kafkaBrokers(), clientId: 'test' };
    const producer = await createKafkaProducer({ ...connection, maxBatchBytes: 60 * MIB }, recordTelemetry());
    const values = Array.from({ length: recordCount }, (_, i) => ({
      value: `{"service":"huge","message":"record ${i} ${'x'.repeat(60)}"}`,
    }));
    await producer.send(topic, values);
    await producer.disconnect();
    const pipeline = await start({ topics: [topic] });
    await pipeline.untilReceived(recordCount);
    await finish(pipeline);
    const [row] = await clickhouse.store.query(
      `SELECT count() AS events, uniqExact(message) AS messages, min(offset) AS first, max(offset) AS last
       FROM logs WHERE ${SOURCE_OF}`,
      { topic },
    );
    expect(row).toEqual({ events: recordCount, messages: recordCount, first: 0, last: recordCount - 1 });
    await expectCommittedToEnd(pipeline.groupId, [topic]);
    expect(pipeline.pipeline.arena.usedBytes).toBe(0);
  });

  test('a record of 10 MB is a dead letter with its bytes, and those around it are stored', async () => {
    const topic = await createTopic('huge-record');
    const huge = Buffer.from(JSON.stringify({ service: 'huge', message: 'y'.repeat(10 * MIB) }));
    const producer = await createKafkaProducer(
      { brokers: kafkaBrokers(), clientId: 'test', maxBatchBytes: 20 * MIB },
      recordTelemetry(),
    );
    await producer.send(topic, [{ value: 'before' }, { value: huge }, { value: 'after' }]);
    await producer.send(topic, [{ value: 'next batch' }]);
    await producer.disconnect();
    const pipeline = await start({ topics: [topic] });
    await pipeline.untilReceived(4);
    await finish(pipeline);
    expect(await messagesOf(topic)).toEqual(['before', 'after', 'next batch']);
    expect(await lettersOf(topic)).toEqual([
      {
        offset: 1,
        reason: 'record_too_large',
        detail: `the record has ${huge.length} bytes, ${MIB} are allowed`,
        bytes: huge.length,
        sha256: sha256(huge),
      },
    ]);
    await expectCommittedToEnd(pipeline.groupId, [topic]);
  });
});

describe('damaged batches', () => {
  // Retention counts from the record's time.
  const BASE_TIME_MS = Date.now() - 3_600_000;

  /** Hands a lane batches as a broker with a damaged disk would; each has 3 records. Answers the lane's topic. */
  async function deliver(damaged: Buffer): Promise<string> {
    const topic = uniqueName('damaged');
    const good = (name: string, baseOffset: number): CraftedBatch => ({
      records: [1, 2, 3].map((i) => ({ value: `${name} ${i}` })),
      baseOffset,
      baseTimestampMs: BASE_TIME_MS,
    });
    const batches = [craftBatch(good('before', 0)), damaged, craftBatch(good('after', 6))].map(
      (bytes, i): FetchedBatch => ({ bytes, baseOffset: 3 * i, lastOffset: 3 * i + 2 }),
    );
    const pipeline = await start({});
    const { kafkaLanes } = pipeline.pipeline;
    await kafkaLanes.onAssigned(1, [{ topic, partition: 0, topicId: '' }]);
    await kafkaLanes.onDelivery(
      { epoch: 1, topic, partition: 0, fetchOffset: 0, batches, highWatermark: 9 },
      () => Promise.resolve(),
    );
    await pipeline.untilReceived(9);
    const [lane] = kafkaLanes.lanes;
    expect(lane?.storedOffset).toBe(9);
    expect(lane?.total).toMatchObject({ receivedCount: 9, storedCount: 6 });
    await finish(pipeline);
    return topic;
  }

  const damaged: CraftedBatch = {
    records: [{ value: 'x' }, { value: 'y' }, { value: 'z' }],
    baseOffset: 3,
    baseTimestampMs: BASE_TIME_MS,
  };
  const unknownCodec = (): Buffer => craftBatch({ ...damaged, attributes: 5 });
  const brokenGzip = (): Buffer =>
    craftBatch({ ...damaged, attributes: 1, rawRecords: Buffer.from('not gzip at all') });
  const cutInside = (): Buffer => {
    const whole = craftBatch(damaged);
    whole.writeInt32BE(20, 61);
    return sealBatch(whole);
  };

  /** `begin`: where the bytes begin that the letter keeps. What was read before that was not lost. */
  test.each([
    [
      'a corrupt CRC',
      { reason: 'corrupt_batch', craft: () => craftBatch({ ...damaged, crcError: 1 }), begin: 0 },
    ],
    ['an unknown codec', { reason: 'unknown_codec', craft: unknownCodec, begin: 0 }],
    ['gzip that is none', { reason: 'decompression_failed', craft: brokenGzip, begin: 0 }],
    ['records that run past the end', { reason: 'corrupt_batch', craft: cutInside, begin: 61 }],
  ])(
    '%s is one dead letter with the bytes, and the lane goes on',
    async (_name, { reason, craft, begin }) => {
      const bytes = craft();
      const topic = await deliver(bytes);
      expect(await messagesOf(topic)).toEqual([
        'before 1',
        'before 2',
        'before 3',
        'after 1',
        'after 2',
        'after 3',
      ]);
      const [letter, ...more] = await lettersOf(topic);
      expect(more).toEqual([]);
      expect(letter).toMatchObject({ offset: 3, reason });
      expect(letter?.detail).toContain('records from offset 3 to 5');
      expect(letter?.sha256).toBe(sha256(bytes.subarray(begin)));
    },
  );
});
