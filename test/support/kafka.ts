/** The shared broker as tests see it: its address, topics of their own, and what produces into them. */
import { randomUUID } from 'node:crypto';
import type { Kafka, Message } from 'kafkajs';
import { inject } from 'vitest';
import { loadKafkajs } from '../../src/bus/load-kafkajs.ts';
import type { Telemetry, TelemetryFields } from '../../src/telemetry.ts';
import { until } from './until.ts';

/** `host:port` of the shared broker or brokers. */
export function kafkaBrokers(): string[] {
  return inject('kafkaBrokers').split(',');
}

/** A kafkajs client for producing and administration; what it consumes is undecoded. */
export function kafkaClient(brokers: readonly string[] = kafkaBrokers()): Kafka {
  const { Kafka, logLevel } = loadKafkajs();
  return new Kafka({ brokers: [...brokers], clientId: 'test', logLevel: logLevel.NOTHING });
}

export interface TopicOptions {
  readonly config?: Readonly<Record<string, string>>;
  readonly brokers?: readonly string[];
}

/** Creates a topic named `<name>-<random>` and answers its name. */
export async function createTopic(name: string, partitions = 1, options: TopicOptions = {}): Promise<string> {
  const topic = uniqueName(name);
  const admin = kafkaClient(options.brokers).admin();
  await admin.connect();
  try {
    const configEntries = Object.entries(options.config ?? {}).map(([key, value]) => ({ name: key, value }));
    // On a loaded machine the broker may create it and yet answer too late: whether it is there tells below.
    const created = admin.createTopics({
      topics: [{ topic, numPartitions: partitions, configEntries }],
      waitForLeaders: false,
    });
    await created.catch(() => undefined);
    // Only the leaders themselves answer this. A request that comes before all of them are ready is sent again as a
    // whole, and what some of them took already is then there twice.
    const areReady = async (): Promise<boolean> =>
      (await admin.fetchTopicOffsets(topic)).length === partitions;
    await until(() => areReady().catch(() => false), { timeoutMs: 30_000 });
  } finally {
    await admin.disconnect();
  }
  return topic;
}

export function uniqueName(name: string): string {
  return `${name}-${randomUUID().slice(0, 8)}`;
}

/** Sends messages with a producer of its own. */
export async function produce(
  topic: string,
  messages: Message[],
  brokers?: readonly string[],
): Promise<void> {
  const { Partitioners } = loadKafkajs();
  const producer = kafkaClient(brokers).producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  await producer.send({ topic, messages });
  await producer.disconnect();
}

export interface RecordedTelemetry extends Telemetry {
  readonly events: { readonly event: string; readonly fields: TelemetryFields; readonly amount: number }[];
}

/** Telemetry that keeps what it is told. */
export function recordTelemetry(): RecordedTelemetry {
  const events: RecordedTelemetry['events'] = [];
  return {
    events,
    emit: (event, fields = {}, amount = 1) => {
      events.push({ event, fields, amount });
    },
  };
}
