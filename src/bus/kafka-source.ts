/**
 * The Kafka source: record batches as fetched, in order per partition, under assignment epochs.
 * It keeps one consumer session alive at a time and makes a new one whenever that ends, for as long as it runs.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage, MillraceError } from '../errors.ts';
import type {
  Delivery,
  KafkaSource,
  KafkaSourceHandlers,
  KafkaSourceStatus,
  OffsetCommit,
  TopicPartition,
} from '../pipeline/ports.ts';
import type { Telemetry } from '../telemetry.ts';
import { ConsumerSession, type FetchedPartition, SESSION_RETRY } from './consumer-session.ts';
import { holdWithHeartbeats } from './hold-with-heartbeats.ts';
import { createKafkaClient, type KafkaConnection } from './kafka-client.ts';
import { type ClusterInfo, prepareCluster } from './kafka-topics.ts';

export interface KafkaSourceOptions extends KafkaConnection {
  readonly groupId: string;
  readonly topics: readonly string[];
  /** Where a group without commits begins, and one whose offsets are deleted goes on; default true. */
  readonly fromBeginning?: boolean;
  /** Default 4 MiB. */
  readonly maxBytesPerPartition?: number;
  /**
   * Bytes of one round of fetches over all brokers; default 8 MiB. kafkajs holds a response about twice (its
   * chunks and their joined copy) beside the pipeline's own budget, so this keeps the fetch side near 16 MiB of
   * the 400 MB that the program may have, and is still enough for 100 rounds of 8 MiB a second.
   */
  readonly maxBytes?: number;
  /** Default 64 KiB. */
  readonly minBytes?: number;
  /** How long the broker may wait for `minBytes`; default 250: each idle round costs this thread about 2 ms. */
  readonly maxWaitMs?: number;
  /** Default 45,000: the wait of the others when this process dies without leaving the group. */
  readonly sessionTimeoutMs?: number;
  readonly heartbeatIntervalMs?: number;
  /** Partitions of a topic that is created because the cluster lacks it; default 6. */
  readonly newTopicPartitions?: number;
}

const DEFAULTS = {
  fromBeginning: true,
  maxBytesPerPartition: 4 << 20,
  maxBytes: 8 << 20,
  minBytes: 64 << 10,
  maxWaitMs: 250,
  sessionTimeoutMs: 45_000,
  heartbeatIntervalMs: 3000,
  newTopicPartitions: 6,
};
const MIN_FETCH_BYTES = 1 << 20;
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 10_000;
/** Without a heartbeat answered in this time the source no longer counts as connected. */
const CONTACT_MS = 12_000;

export function createKafkaSource(options: KafkaSourceOptions, telemetry: Telemetry): KafkaSource {
  return new SupervisedSource({ ...DEFAULTS, ...withoutUndefined(options) }, telemetry);
}

/**
 * Modes: `idle`; `connecting` (no session, or one that has not joined: commits are refused); `running` (an epoch
 * is open; at most one fetch per broker is held, and only while its deliveries wait); `waiting` (a session ended,
 * the next begins after a pause that doubles up to 10 s); `stopped`.
 */
class SupervisedSource implements KafkaSource {
  readonly #options: Required<KafkaSourceOptions>;
  readonly #telemetry: Telemetry;
  readonly #stopping = new AbortController();
  #handlers: KafkaSourceHandlers | undefined;
  #session: ConsumerSession | undefined;
  #supervision: Promise<void> = Promise.resolve();
  #state: KafkaSourceStatus['state'] = 'idle';
  #clusterId = '';
  #epoch = 0;
  #isEpochOpen = false;
  #partitionCount = 0;
  #assigned: Promise<void> = Promise.resolve();
  #commitNow: FetchedPartition['commit'] | undefined;
  #lastError: string | undefined;

  constructor(options: Required<KafkaSourceOptions>, telemetry: Telemetry) {
    this.#options = options;
    this.#telemetry = telemetry;
    // Every delivery that is held listens; there may be one per partition.
    setMaxListeners(0, this.#stopping.signal);
  }

  get clusterId(): string {
    return this.#clusterId;
  }

  start(handlers: KafkaSourceHandlers): Promise<void> {
    if (this.#state !== 'idle')
      return Promise.reject(new MillraceError('internal', 'The source was started twice.'));
    this.#handlers = handlers;
    this.#supervision = this.#supervise();
    return Promise.resolve();
  }

  status(): KafkaSourceStatus {
    const silentMs = performance.now() - (this.#session?.lastContactMs ?? Number.NEGATIVE_INFINITY);
    const isConnected = this.#isEpochOpen && silentMs < CONTACT_MS;
    return {
      state: this.#state,
      isConnected,
      epoch: this.#epoch,
      partitionCount: this.#partitionCount,
      ...(this.#lastError === undefined || isConnected ? {} : { lastError: this.#lastError }),
    };
  }

  /** One attempt: what fails with `bus_unavailable` may be tried again, what fails with `lane_closed` may not. */
  async commit(epoch: number, offsets: readonly OffsetCommit[]): Promise<void> {
    const commit = this.#commitNow;
    if (
      epoch !== this.#epoch ||
      !this.#isEpochOpen ||
      commit === undefined ||
      this.#stopping.signal.aborted
    ) {
      throw new MillraceError('lane_closed', `Cannot commit for epoch ${epoch}: it is over.`);
    }
    await commit(offsets);
  }

  async stop(deadlineMs: number): Promise<void> {
    // Both in one turn: a handler that lets go must find its consumer already stopping.
    this.#stopping.abort();
    const closed = this.#session?.close(deadlineMs);
    const isOver = new AbortController();
    const deadline = delay(deadlineMs, undefined, { signal: isOver.signal }).catch(() => undefined);
    await Promise.race([Promise.all([closed, this.#supervision]), deadline]);
    isOver.abort();
    this.#isEpochOpen = false;
    this.#state = 'stopped';
  }

  async #supervise(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!this.#stopping.signal.aborted) {
      this.#state = 'connecting';
      const epochBefore = this.#epoch;
      try {
        await this.#runSession();
      } catch (error) {
        this.#lastError = errorMessage(error);
      }
      this.#closeEpoch();
      if (this.#stopping.signal.aborted) return;
      const hadJoined = this.#epoch > epochBefore;
      if (hadJoined) pauseMs = FIRST_PAUSE_MS;
      this.#state = 'waiting';
      const fields = { error: this.#lastError ?? 'the session ended', retryInMs: pauseMs };
      this.#telemetry.emit(hadJoined ? 'kafka_crashed' : 'kafka_unreachable', fields);
      await delay(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS);
    }
  }

  /** One session from connecting to its end; rejects with what ended it unless it was closed. */
  async #runSession(): Promise<void> {
    const options = this.#options;
    const cluster = await this.#prepare();
    if (this.#stopping.signal.aborted) return;
    this.#clusterId = cluster.clusterId;
    this.#telemetry.emit('kafka_connected', {
      clusterId: cluster.clusterId,
      brokerCount: cluster.brokerCount,
    });
    const client = createKafkaClient(options, this.#telemetry, SESSION_RETRY);
    try {
      this.#session = new ConsumerSession(client, sessionOptions(options, cluster), {
        onJoined: (partitions) => {
          this.#openEpoch(partitions);
        },
        onFetched: (fetched) => this.#deliver(fetched),
      });
      await this.#session.run();
    } finally {
      this.#session = undefined;
      client.sockets.close();
    }
  }

  /** With a client of its own that gives up soon, so that a cluster that is not there is told as that. */
  async #prepare(): Promise<ClusterInfo> {
    const { topics, newTopicPartitions } = this.#options;
    const client = createKafkaClient(this.#options, this.#telemetry);
    try {
      return await prepareCluster(client, { topics, partitionCount: newTopicPartitions }, this.#telemetry);
    } finally {
      client.sockets.close();
    }
  }

  #openEpoch(partitions: readonly TopicPartition[]): void {
    this.#epoch++;
    this.#isEpochOpen = true;
    this.#state = 'running';
    this.#partitionCount = partitions.length;
    this.#commitNow = undefined;
    this.#assigned = this.#handlers?.onAssigned(this.#epoch, partitions) ?? Promise.resolve();
    // Whoever delivers first sees the failure; until then it is nobody's.
    this.#assigned.catch(() => undefined);
  }

  #closeEpoch(): void {
    this.#isEpochOpen = false;
    this.#partitionCount = 0;
    this.#commitNow = undefined;
  }

  /** Hands one partition's batches over; `resolve` is called only when they were taken in the epoch they came in. */
  async #deliver(fetched: FetchedPartition): Promise<void> {
    const handlers = this.#handlers;
    const epoch = this.#epoch;
    if (handlers === undefined || !this.#isEpochOpen) return;
    const hold = { heartbeat: fetched.heartbeat, intervalMs: this.#options.heartbeatIntervalMs };
    const signal = this.#stopping.signal;
    try {
      await holdWithHeartbeats(this.#assigned, { ...hold, signal });
      if (epoch !== this.#epoch) return;
      this.#commitNow = fetched.commit;
      const delivery: Delivery = { epoch, ...fetched.delivery };
      this.#reportLoss(delivery);
      await holdWithHeartbeats(handlers.onDelivery(delivery, fetched.heartbeat), { ...hold, signal });
      if (epoch === this.#epoch) fetched.resolve();
    } catch (error) {
      if (!(error instanceof MillraceError && error.code === 'shutting_down')) throw error;
      // Nothing more is taken, but the member must stay in the group until what it took is committed.
      const never = new Promise<void>(() => undefined);
      await holdWithHeartbeats(never, { ...hold, signal }).catch((reason: unknown) => {
        if (!signal.aborted) throw reason;
      });
    }
  }

  #reportLoss({ topic, partition, fetchOffset, lostFromOffset }: Delivery): void {
    if (lostFromOffset === undefined) return;
    const fields = { topic, partition, fromOffset: lostFromOffset, toOffset: fetchOffset };
    // An end below the begin: the topic was deleted and created again, and how much was lost cannot be known.
    this.#telemetry.emit('records_lost_upstream', fields, Math.max(0, fetchOffset - lostFromOffset));
  }
}

function sessionOptions(options: Required<KafkaSourceOptions>, { brokerCount }: ClusterInfo) {
  // Each broker is fetched from on its own, and all of them answer at once.
  const maxBytes = Math.max(MIN_FETCH_BYTES, Math.floor(options.maxBytes / Math.max(1, brokerCount)));
  return { ...options, maxBytes, maxBytesPerPartition: Math.min(options.maxBytesPerPartition, maxBytes) };
}

/** So that an option given as undefined does not hide its default. */
function withoutUndefined(options: KafkaSourceOptions): Required<KafkaSourceOptions> {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as unknown as Required<KafkaSourceOptions>;
}
