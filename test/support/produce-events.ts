/**
 * What `millrace produce` does, into topics of the test: seeded mixed events, and the account of what Kafka has.
 */
import { createKafkaProducer } from '../../src/bus/kafka-producer.ts';
import { createAccount, type ProductionAccount, runProduction } from '../../src/commands/produce-loop.ts';
import { EVENT_KINDS } from '../../src/produce/draft.ts';
import { createGenerator, type GeneratorOptions } from '../../src/produce/generator.ts';
import { createTopic, kafkaBrokers, recordTelemetry } from './kafka.ts';

export type KindTopics = ReadonlyMap<string, string>;

/** One new topic for each kind: kind → topic. */
export async function createKindTopics(partitions = 6): Promise<KindTopics> {
  const topics = new Map<string, string>();
  for (const kind of EVENT_KINDS) topics.set(kind, await createTopic(kind, partitions));
  return topics;
}

export interface Production {
  readonly topics: KindTopics;
  readonly count: number;
  /** Events per second; default as fast as possible. */
  readonly rate?: number;
  readonly signal?: AbortSignal;
  readonly generator?: Partial<GeneratorOptions>;
}

/**
 * Produces mixed events and resolves with their account. Unless told otherwise their time begins three hours ago
 * and goes on ten events per second, so that they fall into many minutes and several hours, none of them future.
 */
export async function produceEvents({
  topics,
  count,
  rate = 0,
  signal,
  generator,
}: Production): Promise<ProductionAccount> {
  const producer = await createKafkaProducer(
    { brokers: kafkaBrokers(), clientId: 'test-produce' },
    recordTelemetry(),
  );
  const account = createAccount();
  const startUs = (Math.floor(Date.now() / 1000) - 3 * 3600) * 1_000_000;
  try {
    await runProduction(
      {
        generator: createGenerator({
          kind: 'mixed',
          seed: 1,
          startUs,
          rate: Math.max(10, count / 10_000),
          ...generator,
        }),
        sink: {
          send: (kind, events) => producer.send(topics.get(kind) ?? kind, events),
          close: () => Promise.resolve(),
        },
        rate,
        count,
        signal: signal ?? new AbortController().signal,
      },
      account,
    );
  } finally {
    await producer.disconnect();
  }
  return account;
}
