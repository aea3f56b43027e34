/**
 * One life of a kafkajs consumer: joins the group, hands fetched partitions on, and ends. Whatever crashes it
 * ends it (kafkajs's own restart is switched off, so that there is one way back only: a new session).
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Consumer, ConsumerCrashEvent, EachBatchPayload } from 'kafkajs';
import { errorMessage, MillraceError } from '../errors.ts';
import type { Delivery, OffsetCommit, TopicPartition } from '../pipeline/ports.ts';
import { cutOnTimeout, type KafkaClient } from './kafka-client.ts';
import { lostFromOffset } from './kafkajs-repairs.ts';
import { UndecodedBatch } from './undecoded-batches.ts';

export interface SessionOptions {
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly fromBeginning: boolean;
  readonly maxBytesPerPartition: number;
  readonly maxBytes: number;
  readonly minBytes: number;
  readonly maxWaitMs: number;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
}

/** What one fetch brought for one partition. */
export interface FetchedPartition {
  readonly delivery: Omit<Delivery, 'epoch'>;
  /** Rejects when the member must rejoin. */
  readonly heartbeat: () => Promise<void>;
  /** Moves the fetch position past this delivery. */
  readonly resolve: () => void;
  /** One attempt under the assignment of now; `lane_closed` when the group has gone on without this member. */
  readonly commit: (offsets: readonly OffsetCommit[]) => Promise<void>;
}

export interface SessionHandlers {
  /** Called at the end of each join, before anything of it is fetched. */
  onJoined(partitions: readonly TopicPartition[]): void;
  onFetched(fetched: FetchedPartition): Promise<void>;
  /** Everything of the partition below `nextOffset` was handed over or holds no records (control batches). */
  onPassed?(place: TopicPartition, nextOffset: number): void;
}

const SILENT_PATIENCE_MS = 1000;
/** Partitions handed over side by side, so that one lane that waits does not hold back the rest of the fetch. */
const CONCURRENT_PARTITIONS = 16;

/**
 * Retries inside one session. They last a little longer than the default session timeout: a short outage then
 * keeps the membership, where a new session would have to wait until the broker forgets the old member.
 */
export const SESSION_RETRY = {
  initialRetryTime: 100,
  maxRetryTime: 2000,
  retries: 28,
  factor: 0.2,
  multiplier: 2,
  restartOnFailure: () => Promise.resolve(false),
};

/** Answers of the broker that say: another generation of the group has begun, or this member is out of it. */
const FENCED = new Set([
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'REBALANCE_IN_PROGRESS',
  'FENCED_INSTANCE_ID',
]);

/** Modes: `joining`, `running` (the handler holds at most what one fetch per broker brought), `ended`. */
export class ConsumerSession {
  readonly #consumer: Consumer;
  readonly #client: KafkaClient;
  readonly #options: SessionOptions;
  readonly #handlers: SessionHandlers;
  readonly #crashed: Promise<ConsumerCrashEvent>;
  readonly #closed: Promise<void>;
  #markClosed: () => void = () => undefined;
  #lastContactMs = Number.NEGATIVE_INFINITY;

  constructor(client: KafkaClient, options: SessionOptions, handlers: SessionHandlers) {
    this.#client = client;
    this.#options = options;
    this.#handlers = handlers;
    this.#consumer = client.kafka.consumer({
      groupId: options.groupId,
      sessionTimeout: options.sessionTimeoutMs,
      heartbeatInterval: options.heartbeatIntervalMs,
      maxBytesPerPartition: options.maxBytesPerPartition,
      maxBytes: options.maxBytes,
      minBytes: options.minBytes,
      maxWaitTimeInMs: options.maxWaitMs,
      allowAutoTopicCreation: false,
      retry: SESSION_RETRY,
    });
    const { events } = this.#consumer;
    this.#crashed = new Promise((resolve) => {
      this.#consumer.on(events.CRASH, resolve);
    });
    this.#closed = new Promise((resolve) => {
      this.#markClosed = resolve;
    });
    this.#consumer.on(events.HEARTBEAT, () => {
      this.#lastContactMs = performance.now();
    });
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => {
      this.#lastContactMs = performance.now();
      this.#handlers.onJoined(toPartitions(payload.memberAssignment));
    });
    this.#consumer.on(events.END_BATCH_PROCESS, ({ payload }) => {
      this.#handlers.onPassed?.(payload, Number(payload.lastOffset) + 1);
    });
    cutOnTimeout(this.#consumer, client.sockets);
  }

  /** When the group coordinator last answered, of `performance.now()`, which no clock step touches; −∞ before. */
  get lastContactMs(): number {
    return this.#lastContactMs;
  }

  /** Sets where the next fetch of a partition begins; to be called in `onJoined`. */
  seek(offsets: readonly OffsetCommit[]): void {
    for (const { topic, partition, offset } of offsets) {
      this.#consumer.seek({ topic, partition, offset: String(offset) });
    }
  }

  /** Runs until the session is closed; rejects with what crashed it. */
  async run(): Promise<void> {
    const { topics, fromBeginning } = this.#options;
    await this.#consumer.connect();
    await this.#consumer.subscribe({ topics: [...topics], fromBeginning });
    // Resolves when the member has joined or the join has crashed.
    const joined = this.#consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: CONCURRENT_PARTITIONS,
      eachBatch: (payload) => this.#handlers.onFetched(toFetched(payload)),
    });
    const ended = await Promise.race([joined.then(() => this.#crashed), this.#crashed, this.#closed]);
    if (ended !== undefined) throw ended.payload.error;
  }

  /**
   * Leaves the group and disconnects; cuts the connections when that takes longer than `deadlineMs`, or soon when
   * the group coordinator was silent lately.
   */
  async close(deadlineMs: number): Promise<void> {
    const isInContact = performance.now() - this.#lastContactMs < 2 * this.#options.heartbeatIntervalMs;
    const patienceMs = isInContact ? deadlineMs : Math.min(deadlineMs, SILENT_PATIENCE_MS);
    const done = new AbortController();
    const leaving = this.#consumer.disconnect().catch(() => undefined);
    await Promise.race([
      leaving,
      delay(patienceMs, undefined, { signal: done.signal }).catch(() => undefined),
    ]);
    done.abort();
    this.#client.sockets.close();
    this.#markClosed();
  }
}

function toPartitions(assignment: Readonly<Record<string, number[]>>): TopicPartition[] {
  return Object.entries(assignment).flatMap(([topic, partitions]) =>
    partitions.map((partition) => ({ topic, partition })),
  );
}

function toFetched(payload: EachBatchPayload): FetchedPartition {
  const { batch } = payload;
  const batches = batch.messages.map(asUndecoded);
  const last = batches.at(-1);
  // kafkajs's type leaves the field out.
  const { fetchedOffset } = batch as typeof batch & { readonly fetchedOffset: string };
  const lostFrom = lostFromOffset(batch);
  return {
    delivery: {
      topic: batch.topic,
      partition: batch.partition,
      fetchOffset: Number(fetchedOffset),
      batches,
      highWatermark: Number(batch.highWatermark),
      ...(lostFrom === undefined ? {} : { lostFromOffset: lostFrom }),
    },
    heartbeat: () => payload.heartbeat(),
    resolve: () => {
      // kafkajs moves past control batches behind the last one by itself.
      if (last !== undefined) payload.resolveOffset(last.offset);
    },
    // Not consumer.commitOffsets: that one retries, and may then commit under a later generation.
    commit: (offsets) => commitOnce(payload, offsets),
  };
}

function asUndecoded(message: unknown): UndecodedBatch {
  if (message instanceof UndecodedBatch) return message;
  throw new MillraceError('platform_unsupported', 'Cannot read Kafka: the broker is older than 0.11.');
}

async function commitOnce(payload: EachBatchPayload, offsets: readonly OffsetCommit[]): Promise<void> {
  const topics = [...new Set(offsets.map(({ topic }) => topic))].map((topic) => ({
    topic,
    partitions: offsets
      .filter((offset) => offset.topic === topic)
      .map(({ partition, offset }) => ({ partition, offset: String(offset) })),
  }));
  try {
    await payload.commitOffsetsIfNecessary({ topics });
  } catch (error) {
    const { type } = error as { readonly type?: unknown };
    const code = typeof type === 'string' && FENCED.has(type) ? 'lane_closed' : 'bus_unavailable';
    throw new MillraceError(code, `Cannot commit offsets: ${errorMessage(error)}`, { cause: error });
  }
}
