import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { crc32c } from '@node-rs/crc32';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { splitBatches } from '../../src/bus/undecoded-batches.ts';
import { createTopic, produce, uniqueName } from '../support/kafka.ts';
import { startBroker, type TestBroker } from '../support/kafka-broker.ts';
import { allBatches, type CollectOptions, type Collector, collect } from '../support/source-collector.ts';

let broker: TestBroker;
const running: Collector[] = [];

async function start(options: CollectOptions): Promise<Collector> {
  const collector = await collect({ brokers: [broker.brokers], ...options });
  running.push(collector);
  return collector;
}

function segmentOf(topic: string): string {
  return join(broker.dataDirectory, `${topic}-0`, '00000000000000000000.log');
}

beforeAll(async () => {
  broker = await startBroker();
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((collector) => collector.stop()));
});

afterAll(async () => {
  await broker.stop();
});

describe('Kafka source on a broker in trouble', () => {
  it('hands on the bytes that the broker has on its disk', async () => {
    const brokers = [broker.brokers];
    const topic = await createTopic('disk', 1, { brokers });
    for (let i = 0; i < 20; i++) await produce(topic, [{ key: `k${i}`, value: `value ${i}` }], brokers);
    const collector = await start({ topics: [topic] });
    await collector.until(() => collector.recordCount() === 20);
    const fetched = Buffer.concat(allBatches(collector.deliveries));
    expect(fetched.equals(await readFile(segmentOf(topic)))).toBe(true);
  });

  it('passes a corrupt batch and an unknown codec like any other', async () => {
    const brokers = [broker.brokers];
    const topic = await createTopic('damaged', 1, { brokers });
    for (let i = 0; i < 4; i++) await produce(topic, [{ value: `value ${i}` }], brokers);
    await broker.shutdown();
    const segment = await readFile(segmentOf(topic));
    const [, second, third] = splitBatches(segment);
    second!.bytes.writeUInt8(second!.bytes.readUInt8(70) ^ 0xff, 70);
    third!.bytes.writeInt16BE(7, 21);
    third!.bytes.writeUInt32BE(crc32c(third!.bytes.subarray(21)), 17);
    await writeFile(segmentOf(topic), segment);
    await broker.restart();
    const collector = await start({ topics: [topic] });
    await collector.until(() => allBatches(collector.deliveries).length === 4);
    expect(Buffer.concat(allBatches(collector.deliveries)).equals(segment)).toBe(true);
  });

  it('goes on after the broker was killed and came back, without a gap or a repetition', async () => {
    const brokers = [broker.brokers];
    const topic = await createTopic('killed', 1, { brokers });
    await produce(topic, [{ value: 'before' }], brokers);
    const collector = await start({ topics: [topic], sessionTimeoutMs: 30_000 });
    await collector.until(() => collector.recordCount() === 1);
    await collector.source.commit(1, [{ topic, partition: 0, offset: 1 }]);
    await broker.kill();
    await delay(1500);
    await broker.restart();
    await produce(topic, [{ value: 'after' }], brokers);
    // Soon: the member comes back as itself, nobody waits for its session to run out.
    await collector.until(() => collector.recordCount() === 2, 20_000);
    const { epoch, batches } = collector.deliveries.at(-1)!;
    expect(batches.map(({ baseOffset }) => baseOffset)).toEqual([1]);
    expect({ epoch, told: epoch === 1 ? [] : collector.telemetry.events }).toEqual({ epoch: 1, told: [] });
    await collector.source.commit(epoch, [{ topic, partition: 0, offset: 2 }]);
    expect(collector.source.status()).toMatchObject({ state: 'running', isConnected: true });
  });

  it('waits for a broker that is down at the start, says so, and stops promptly meanwhile', async () => {
    const brokers = [broker.brokers];
    const topic = await createTopic('late', 1, { brokers });
    await produce(topic, [{ value: 'x' }], brokers);
    await broker.shutdown();
    const collector = await start({ topics: [topic] });
    const impatient = await start({ topics: [topic] });
    const isTold = () => collector.telemetry.events.some(({ event }) => event === 'kafka_unreachable');
    await collector.until(isTold);
    expect(collector.source.status()).toMatchObject({ isConnected: false, lastError: expect.any(String) });
    const before = performance.now();
    await impatient.source.stop(1000);
    expect(performance.now() - before).toBeLessThan(1500);
    await broker.restart();
    await collector.until(() => collector.recordCount() === 1);
  });

  it('cuts connections to a broker that answers no more, and goes on when it does again', async () => {
    const brokers = [broker.brokers];
    const topic = await createTopic('frozen', 1, { brokers });
    await produce(topic, [{ value: 'x' }], brokers);
    const collector = await start({
      topics: [topic],
      groupId: uniqueName('frozen'),
      sessionTimeoutMs: 40_000,
    });
    await collector.until(() => collector.recordCount() === 1);
    process.kill(broker.pid, 'SIGSTOP');
    try {
      await collector.until(() => !collector.source.status().isConnected, 30_000);
    } finally {
      process.kill(broker.pid, 'SIGCONT');
    }
    await produce(topic, [{ value: 'y' }], brokers);
    await collector.until(() => collector.recordCount() === 2, 15_000);
    const offsets = collector.deliveries.flatMap(({ batches }) =>
      batches.map(({ baseOffset }) => baseOffset),
    );
    expect(offsets).toEqual([0, 1]);
  });
});
