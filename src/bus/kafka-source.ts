/**
 * The Kafka source: record batches as fetched, in order per partition, under assignment epochs.
 * It keeps one consumer session alive at a time and makes a new one whenever that ends, for as long as it runs.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage, MillraceError } from '../errors.ts';
import type {
  AssignedPartition,
  Delivery,
  KafkaSource,
  KafkaSourceHandlers,
  KafkaSourceStatus,
  OffsetCommit,
} from '../pipeline/ports.ts';
import type { Telemetry } from '../telemetry.ts';
import { ConsumerSession, SESSION_RETRY, sayMissing } from './consumer-session.ts';
import type { FetchedPartition } from './fetched-partition.ts';
import { holdWithHeartbeats } from './hold-with-heartbeats.ts';
import { createKafkaClient } from './kafka-client.ts';
import { fillOptions, type KafkaSourceOptions, sessionOptions } from './kafka-source-options.ts';
import { type ClusterInfo, prepareCluster } from './kafka-topics.ts';
import { leaveDeadMembers } from './leave-dead-members.ts';
import { LossReport } from './loss-report.ts';
import { MemberNotes } from './member-notes.ts';

export type { KafkaSourceOptions } from './kafka-source-options.ts';

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 10_000;
/** Before a session that was asked for: whoever asks again and again must not keep the group from working. */
const REJOIN_PAUSE_MS = 100;
/**
 * How long leaving the group may take (a broker that is silent gets less). A member that did not leave is waited for
 * by the next one until its session has run out.
 */
const REJOIN_CLOSE_MS = 15_000;
/** Without a heartbeat answered in this time the source no longer counts as connected. */
const CONTACT_MS = 12_000;

export function createKafkaSource(options: KafkaSourceOptions, telemetry: Telemetry): KafkaSource {
  return new SupervisedSource(fillOptions(options), telemetry);
}

/**
 * Modes: `idle`; `connecting` (no session, or one that has not joined: commits are refused); `running` (an epoch
 * is open; at most one fetch per broker is held, and only while its deliveries wait); `waiting` (a session ended,
 * the next begins after a pause that doubles up to 10 s, or soon when the end was asked for); `stopped`.
 *
 * Topics that the cluster lacks are created by the first session only. One that is deleted later was deleted on
 * purpose: it is waited for, the others are read on, and made again it is another topic (see TopicWatch).
 */
class SupervisedSource implements KafkaSource {
  readonly #options: Required<KafkaSourceOptions>;
  readonly #telemetry: Telemetry;
  readonly #stopping = new AbortController();
  #handlers: KafkaSourceHandlers | undefined;
  readonly #losses: LossReport;
  readonly #notes: MemberNotes | undefined;
  #session: ConsumerSession | undefined;
  /** Ends what the session's handlers wait for. */
  #sessionOver = new AbortController();
  #isRejoining = false;
  #hasTopics = false;
  #supervision: Promise<void> = Promise.resolve();
  #state: KafkaSourceStatus['state'] = 'idle';
  #clusterId = '';
  #epoch = 0;
  #isEpochOpen = false;
  #partitions: readonly AssignedPartition[] = [];
  #assigned: Promise<void> = Promise.resolve();
  #commitNow: FetchedPartition['commit'] | undefined;
  #lastError: string | undefined;

  constructor(options: Required<KafkaSourceOptions>, telemetry: Telemetry) {
    this.#options = options;
    this.#telemetry = telemetry;
    this.#losses = new LossReport(telemetry);
    const { memberNotesDir } = options;
    this.#notes = memberNotesDir === undefined ? undefined : new MemberNotes(memberNotesDir, telemetry);
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
    const missing = this.#session?.missingTopics ?? [];
    const notRead = missing.length === 0 ? undefined : `Cannot read from Kafka: ${sayMissing(missing)}`;
    const lastError = isConnected ? notRead : this.#lastError;
    return {
      state: this.#state,
      isConnected,
      epoch: this.#epoch,
      partitionCount: this.#partitions.length,
      ...(lastError === undefined ? {} : { lastError }),
    };
  }

  rejoin(epoch: number, reason: string): void {
    if (epoch === this.#epoch && this.#isEpochOpen) this.#endSession(reason);
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
    this.#sessionOver.abort();
    const closed = this.#session
      ?.close(deadlineMs)
      .then((hasLeft) => (hasLeft ? this.#notes?.drop() : undefined));
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
      this.#isRejoining = false;
      this.#sessionOver = new AbortController();
      // Every delivery that is held listens; there may be one per partition.
      setMaxListeners(0, this.#sessionOver.signal);
      try {
        await this.#runSession(this.#sessionOver.signal);
      } catch (error) {
        this.#lastError = errorMessage(error);
      }
      this.#closeEpoch();
      if (this.#stopping.signal.aborted) return;
      const hadJoined = this.#epoch > epochBefore;
      if (hadJoined) pauseMs = FIRST_PAUSE_MS;
      this.#state = 'waiting';
      const retryInMs = this.#isRejoining ? REJOIN_PAUSE_MS : pauseMs;
      const ending = hadJoined ? 'kafka_crashed' : 'kafka_unreachable';
      const fields = { error: this.#lastError ?? 'the session ended', retryInMs };
      if (!this.#isRejoining) this.#telemetry.emit(ending, fields);
      await delay(retryInMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      if (!this.#isRejoining) pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS);
    }
  }

  /** Leaves the group; what the session delivered and nobody took yet is void. */
  #endSession(reason: string): void {
    if (this.#sessionOver.signal.aborted) return;
    this.#telemetry.emit('kafka_rejoins', { epoch: this.#epoch, reason });
    this.#lastError = reason;
    this.#isRejoining = true;
    this.#closeEpoch();
    // Both in one turn: a handler that lets go must find its consumer already stopping.
    this.#sessionOver.abort();
    this.#session?.close(REJOIN_CLOSE_MS).catch(() => undefined);
  }

  /** One session from connecting to its end; rejects with what ended it unless it was closed. */
  async #runSession(over: AbortSignal): Promise<void> {
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
        onJoining: () => void this.#leaveDeadMembers(over),
        onJoined: (partitions, memberId) => {
          void this.#notes?.keep({ groupId: options.groupId, memberId });
          if (!over.aborted) this.#openEpoch(partitions);
        },
        onFetched: (fetched) => this.#deliver(fetched, over),
        onTopicsChanged: (reason) => {
          if (!over.aborted) this.#endSession(reason);
        },
      });
      await this.#session.run();
    } finally {
      this.#session = undefined;
      client.sockets.close();
    }
  }

  /** Beside the join, which would wait until the session of a program that was killed here has run out. */
  async #leaveDeadMembers(signal: AbortSignal): Promise<void> {
    const notes = this.#notes;
    if (notes !== undefined) await leaveDeadMembers(this.#options, { notes, signal }, this.#telemetry);
  }

  /** With a client of its own that gives up soon, so that a cluster that is not there is told as that. */
  async #prepare(): Promise<ClusterInfo> {
    const { newTopicPartitions: partitionCount } = this.#options;
    const topics = this.#hasTopics ? [] : this.#options.topics;
    const client = createKafkaClient(this.#options, this.#telemetry);
    try {
      const cluster = await prepareCluster(client, { topics, partitionCount }, this.#telemetry);
      this.#hasTopics = true;
      return cluster;
    } finally {
      client.sockets.close();
    }
  }

  #openEpoch(partitions: readonly AssignedPartition[]): void {
    this.#epoch++;
    this.#isEpochOpen = true;
    this.#state = 'running';
    this.#partitions = partitions;
    this.#commitNow = undefined;
    this.#assigned = this.#handlers?.onAssigned(this.#epoch, partitions) ?? Promise.resolve();
    // Whoever delivers first sees the failure; until then it is nobody's.
    this.#assigned.catch(() => undefined);
  }

  #closeEpoch(): void {
    this.#isEpochOpen = false;
    this.#partitions = [];
    this.#commitNow = undefined;
  }

  /** Hands one partition's batches over; `resolve` is called only when they were taken in the epoch they came in. */
  async #deliver(fetched: FetchedPartition, signal: AbortSignal): Promise<void> {
    const handlers = this.#handlers;
    const epoch = this.#epoch;
    if (handlers === undefined || !this.#isEpochOpen || signal.aborted) return;
    const hold = { heartbeat: fetched.heartbeat, intervalMs: this.#options.heartbeatIntervalMs };
    try {
      await holdWithHeartbeats(this.#assigned, { ...hold, signal });
      if (epoch !== this.#epoch || signal.aborted) return;
      this.#commitNow = fetched.commit;
      const delivery: Delivery = { epoch, ...fetched.delivery };
      await holdWithHeartbeats(handlers.onDelivery(delivery, fetched.heartbeat), { ...hold, signal });
      this.#reportLoss(delivery);
      if (epoch === this.#epoch) fetched.resolve();
    } catch (error) {
      const code = error instanceof MillraceError ? error.code : undefined;
      if (code === 'sources_exhausted') return fetched.pause();
      if (code !== 'shutting_down') throw error;
      // Nothing more is taken, but the member must stay in the group until what it took is committed.
      const never = new Promise<void>(() => undefined);
      await holdWithHeartbeats(never, { ...hold, signal }).catch((reason: unknown) => {
        if (!signal.aborted) throw reason;
      });
    }
  }

  #reportLoss(delivery: Delivery): void {
    const isOf = ({ topic, partition }: AssignedPartition): boolean =>
      topic === delivery.topic && partition === delivery.partition;
    this.#losses.tell(delivery, this.#partitions.find(isOf)?.topicId ?? '');
  }
}
