/**
 * One life of a kafkajs consumer: joins the group, hands fetched partitions on, and ends. Whatever crashes it
 * ends it (kafkajs's own restart is switched off, so that there is one way back only: a new session).
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Consumer, ConsumerCrashEvent } from 'kafkajs';
import { MillraceError } from '../errors.ts';
import type { AssignedPartition, OffsetCommit, TopicPartition } from '../pipeline/ports.ts';
import { type FetchedPartition, toFetched } from './fetched-partition.ts';
import { cutOnTimeout, type KafkaClient } from './kafka-client.ts';
import { type KafkaCluster, pinTopics, readTopicIds } from './kafkajs-topic-ids.ts';
import { loadKafkajs } from './load-kafkajs.ts';
import type { TopicIds } from './topic-metadata.ts';
import { TopicWatch } from './topic-watch.ts';

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

/** Of a session that reads a topic once, in a group of its own that never commits. */
export const READ_ONCE = {
  fromBeginning: true,
  maxBytesPerPartition: 4 << 20,
  maxBytes: 16 << 20,
  minBytes: 1,
  maxWaitMs: 100,
  sessionTimeoutMs: 45_000,
  heartbeatIntervalMs: 3000,
} as const;

export interface SessionHandlers {
  /** Called once, when the first join begins. */
  onJoining?(): void;
  /** Called at the end of each join, before anything of it is fetched. */
  onJoined(partitions: readonly AssignedPartition[], memberId: string): void;
  onFetched(fetched: FetchedPartition): Promise<void>;
  /** Everything of the partition below `nextOffset` was handed over or holds no records (control batches). */
  onPassed?(place: TopicPartition, nextOffset: number): void;
  /** A topic was deleted, made again, or is there at last: nothing of it is handed over; the session should be closed. */
  onTopicsChanged(reason: string): void;
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

/** Modes: `joining`, `running` (the handler holds at most what one fetch per broker brought), `ended`. */
export class ConsumerSession {
  readonly #consumer: Consumer;
  readonly #client: KafkaClient;
  readonly #options: SessionOptions;
  readonly #handlers: SessionHandlers;
  readonly #crashed: Promise<ConsumerCrashEvent>;
  readonly #closed: Promise<void>;
  #markClosed: () => void = () => undefined;
  #cluster: KafkaCluster | undefined;
  #watch: TopicWatch | undefined;
  #lastContactMs = Number.NEGATIVE_INFINITY;
  #isJoining = true;

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
      // kafkajs's own way to assign; it is also the only one to get hold of the consumer's cluster.
      partitionAssigners: [
        (config) => {
          this.#cluster = config.cluster as unknown as KafkaCluster;
          return loadKafkajs().PartitionAssigners.roundRobin(config);
        },
      ],
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
    this.#consumer.on(events.REBALANCING, () => {
      this.#isJoining = true;
    });
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => {
      this.#isJoining = false;
      this.#lastContactMs = performance.now();
      this.#handlers.onJoined(toPartitions(payload.memberAssignment, this.#ids), payload.memberId);
      this.#watch?.check();
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

  /** Topics that are not read because they do not exist. */
  get missingTopics(): readonly string[] {
    return this.#watch === undefined ? [] : this.#options.topics.filter((topic) => !this.#ids.has(topic));
  }

  /** Sets where the next fetch of a partition begins; to be called in `onJoined`. */
  seek(offsets: readonly OffsetCommit[]): void {
    for (const { topic, partition, offset } of offsets) {
      this.#consumer.seek({ topic, partition, offset: String(offset) });
    }
  }

  /**
   * Reads those of the topics that exist, until the session is closed; rejects with what crashed it, and with
   * `not_found` when none exists.
   */
  async run(): Promise<void> {
    try {
      await this.#consumer.connect();
      await this.#runConnected(await this.#learnTopics());
    } finally {
      this.#watch?.stop();
    }
  }

  get #ids(): TopicIds {
    return this.#watch?.ids ?? new Map();
  }

  async #learnTopics(): Promise<TopicIds> {
    const cluster = this.#cluster;
    if (cluster === undefined) throw new MillraceError('internal', 'kafkajs made no partition assigner.');
    const { topics } = this.#options;
    const ids = await readTopicIds(cluster, topics);
    if (ids.size === 0) {
      throw new MillraceError('not_found', `Cannot read from Kafka: ${sayMissing(topics)}`);
    }
    const onChanged = (reason: string): void => {
      this.#handlers.onTopicsChanged(reason);
    };
    this.#watch = new TopicWatch(cluster, { topics, ids, isJoining: () => this.#isJoining, onChanged });
    pinTopics(cluster, this.#watch);
    return ids;
  }

  async #runConnected(ids: TopicIds): Promise<void> {
    const { fromBeginning } = this.#options;
    await this.#consumer.subscribe({ topics: [...ids.keys()], fromBeginning });
    // Resolves when the member has joined or the join has crashed.
    const joined = this.#consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: CONCURRENT_PARTITIONS,
      eachBatch: (payload) => this.#handlers.onFetched(toFetched(payload, ids)),
    });
    this.#handlers.onJoining?.();
    const ended = await Promise.race([joined.then(() => this.#crashed), this.#crashed, this.#closed]);
    if (ended !== undefined) throw ended.payload.error;
  }

  /**
   * Leaves the group and disconnects; cuts the connections when that takes longer than `deadlineMs`, or soon when
   * the group coordinator was silent lately. True when it has left, as far as one can tell.
   */
  async close(deadlineMs: number): Promise<boolean> {
    this.#watch?.stop();
    const isInContact = performance.now() - this.#lastContactMs < 2 * this.#options.heartbeatIntervalMs;
    const patienceMs = isInContact ? deadlineMs : Math.min(deadlineMs, SILENT_PATIENCE_MS);
    const done = new AbortController();
    const leaving = this.#consumer.disconnect().then(
      () => isInContact,
      () => false,
    );
    const hasLeft = await Promise.race([
      leaving,
      delay(patienceMs, false, { signal: done.signal }).catch(() => false),
    ]);
    done.abort();
    this.#client.sockets.close();
    this.#markClosed();
    return hasLeft;
  }
}

/** For people: which topics there are not. */
export function sayMissing(topics: readonly string[]): string {
  const names = topics.map((topic) => JSON.stringify(topic)).join(', ');
  return topics.length === 1 ? `topic ${names} does not exist.` : `topics ${names} do not exist.`;
}

function toPartitions(assignment: Readonly<Record<string, number[]>>, ids: TopicIds): AssignedPartition[] {
  return Object.entries(assignment).flatMap(([topic, partitions]) =>
    partitions.map((partition) => ({ topic, partition, topicId: ids.get(topic) ?? '' })),
  );
}
