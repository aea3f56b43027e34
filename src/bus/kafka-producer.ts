/**
 * Produces into Kafka with batches encoded here; kafkajs finds the leaders, sends and retries. At least once: a
 * request whose answer was lost is sent again. Keys go to the partitions that the Java client would choose.
 */
import type { Producer } from 'kafkajs';
import { errorMessage, MillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import type { ProduceCodec } from './compress-records.ts';
import { createKafkaClient, cutOnTimeout, type KafkaClient, type KafkaConnection } from './kafka-client.ts';
import { partitionCount, prepareCluster } from './kafka-topics.ts';
import { partitionOfKey } from './murmur2.ts';
import { messageBytes, ProduceBatch, type ProducedMessage } from './produce-batch.ts';

export interface KafkaProducerOptions extends KafkaConnection {
  /** Default `none`. */
  readonly compression?: ProduceCodec;
  /** Partitions of a topic that is created because the cluster lacks it; default 6. */
  readonly newTopicPartitions?: number;
  /** A batch is closed when it grows past this, not compressed; default 900 kB, below the broker's usual 1 MiB. */
  readonly maxBatchBytes?: number;
}

/** Messages of one batch that the broker acknowledged: the first lies at `baseOffset`, the others follow it. */
export interface AcknowledgedStretch<Message> {
  readonly partition: number;
  readonly baseOffset: number;
  readonly messages: readonly Message[];
}

export interface KafkaProducer {
  /**
   * Resolves when all messages are acknowledged by all in-sync replicas. Calls may overlap: memory held is what
   * the caller has not yet seen acknowledged. A large call (thousands of messages) costs least per message.
   * `onAcknowledged` is told where they lie, also of those that went well before a failure.
   * Throws `bus_unavailable`, or `payload_too_large` when the broker refuses a message for its size.
   */
  send<Message extends ProducedMessage>(
    topic: string,
    messages: readonly Message[],
    onAcknowledged?: (stretch: AcknowledgedStretch<Message>) => void,
  ): Promise<void>;
  disconnect(): Promise<void>;
}

const RETRY = { initialRetryTime: 100, maxRetryTime: 2000, retries: 12, factor: 0.2, multiplier: 2 };
const ACK_TIMEOUT_MS = 30_000;
/** Keys whose partition is remembered per topic: hosts, in practice. */
const MAX_REMEMBERED_KEYS = 20_000;

/** Connects; throws `bus_unavailable` when no broker can be reached. */
export async function createKafkaProducer(
  options: KafkaProducerOptions,
  telemetry: Telemetry,
): Promise<KafkaProducer> {
  const client = createKafkaClient(options, telemetry, RETRY);
  // Batches are made per partition, so what kafkajs asks for is known already.
  const createPartitioner = () => (batch: { readonly message: { readonly partition?: number } }) =>
    batch.message.partition ?? 0;
  const producer = client.kafka.producer({ createPartitioner, allowAutoTopicCreation: false, retry: RETRY });
  cutOnTimeout(producer, client.sockets);
  // One that gives up soon tells first whether anything is there.
  const probe = createKafkaClient(options, telemetry);
  try {
    await prepareCluster(probe, { topics: [], partitionCount: 0 }, telemetry);
    await producer.connect();
  } catch (error) {
    client.sockets.close();
    throw asBusError('Cannot connect to Kafka', error);
  } finally {
    probe.sockets.close();
  }
  return new BatchingProducer({ client, producer, telemetry }, options);
}

interface ProducerParts {
  readonly client: KafkaClient;
  readonly producer: Producer;
  readonly telemetry: Telemetry;
}

/** One batch in the making, and the messages in it. */
interface PackedBatch<Message> {
  readonly batch: ProduceBatch;
  readonly messages: Message[];
}

/** At most one batch per partition. */
type Round<Message> = Map<number, PackedBatch<Message>>;

/** What is known of a topic. */
interface Target {
  readonly partitionCount: number;
  readonly partitionOf: Map<string, number>;
}

class BatchingProducer implements KafkaProducer {
  readonly #parts: ProducerParts;
  readonly #options: KafkaProducerOptions;
  readonly #targets = new Map<string, Promise<Target>>();
  #keylessTurn = 0;

  constructor(parts: ProducerParts, options: KafkaProducerOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  async send<Message extends ProducedMessage>(
    topic: string,
    messages: readonly Message[],
    onAcknowledged?: (stretch: AcknowledgedStretch<Message>) => void,
  ): Promise<void> {
    try {
      const target = await this.#target(topic);
      // A request holds one batch per partition at most.
      for (const round of this.#pack(messages, target)) {
        const baseOffsets = await this.#sendRound(topic, round);
        for (const [partition, { messages }] of round) {
          onAcknowledged?.({ partition, baseOffset: baseOffsets.get(partition) ?? -1, messages });
        }
      }
    } catch (error) {
      throw asBusError(`Cannot produce into ${JSON.stringify(topic)}`, error);
    }
  }

  async disconnect(): Promise<void> {
    await this.#parts.producer.disconnect();
    this.#parts.client.sockets.close();
  }

  /** Answers the offset of the first record by partition. */
  async #sendRound(topic: string, round: Round<ProducedMessage>): Promise<Map<number, number>> {
    const codec = this.#options.compression ?? 'none';
    const batches = await Promise.all(
      [...round].map(async ([partition, { batch }]) => ({ partition, batch: await batch.finish(codec) })),
    );
    // kafkajs's type knows no encoded batches; encoded-batch.ts is where they are let through.
    const messages = batches.map(({ partition, batch }) => ({
      partition,
      value: batch as unknown as Buffer,
    }));
    const answers = await this.#parts.producer.send({ topic, messages, acks: -1, timeout: ACK_TIMEOUT_MS });
    return new Map(answers.map(({ partition, baseOffset }) => [partition, Number(baseOffset)]));
  }

  #pack<Message extends ProducedMessage>(messages: readonly Message[], target: Target): Round<Message>[] {
    const maxBatchBytes = this.#options.maxBatchBytes ?? 900_000;
    const rounds: Round<Message>[] = [];
    const roundOf = new Map<number, number>();
    const keylessPartition = this.#keylessTurn++ % target.partitionCount;
    const nowMs = Date.now();
    for (const message of messages) {
      const partition = choosePartition(message, target, keylessPartition);
      let index = roundOf.get(partition) ?? 0;
      let packed = rounds[index]?.get(partition);
      if (packed !== undefined && packed.batch.sizeBytes + messageBytes(message) > maxBatchBytes) {
        index++;
        packed = undefined;
      }
      if (packed === undefined) {
        packed = { batch: new ProduceBatch(), messages: [] };
        const round = rounds[index] ?? new Map<number, PackedBatch<Message>>();
        rounds[index] = round.set(partition, packed);
        roundOf.set(partition, index);
      }
      packed.batch.append(message, nowMs);
      packed.messages.push(message);
    }
    return rounds;
  }

  #target(topic: string): Promise<Target> {
    const known = this.#targets.get(topic);
    if (known !== undefined) return known;
    const asked = this.#askTarget(topic);
    this.#targets.set(topic, asked);
    asked.catch(() => this.#targets.delete(topic));
    return asked;
  }

  async #askTarget(topic: string): Promise<Target> {
    const { client, telemetry } = this.#parts;
    const wanted = { topics: [topic], partitionCount: this.#options.newTopicPartitions ?? 6 };
    await prepareCluster(client, wanted, telemetry);
    return { partitionCount: await partitionCount(client, topic), partitionOf: new Map() };
  }
}

function choosePartition(message: ProducedMessage, target: Target, keylessPartition: number): number {
  const { key, partition } = message;
  if (partition !== undefined) {
    if (partition >= 0 && partition < target.partitionCount) return partition;
    throw new MillraceError(
      'usage',
      `There is no partition ${partition}: the topic has ${target.partitionCount}.`,
    );
  }
  if (key === undefined || key === null) return keylessPartition;
  if (typeof key !== 'string') return partitionOfKey(key, target.partitionCount);
  const known = target.partitionOf.get(key);
  if (known !== undefined) return known;
  if (target.partitionOf.size >= MAX_REMEMBERED_KEYS) target.partitionOf.clear();
  const chosen = partitionOfKey(Buffer.from(key), target.partitionCount);
  target.partitionOf.set(key, chosen);
  return chosen;
}

function asBusError(what: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  const { type } = error as { readonly type?: unknown };
  const code =
    type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE'
      ? 'payload_too_large'
      : 'bus_unavailable';
  return new MillraceError(code, `${what}: ${errorMessage(error)}`, { cause: error });
}
