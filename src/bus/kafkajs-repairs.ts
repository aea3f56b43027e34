/**
 * Repairs of kafkajs 2.2.4 that need no replaced module, only methods wrapped.
 * Each names the fault it removes; all are applied once, by load-kafkajs.ts, behind its version check.
 */

import { areTopicsCurrent, type KafkaCluster } from './kafkajs-topic-ids.ts';

interface OffsetManager {
  nextOffset(topic: string, partition: number): { toString(): string };
  /** The next offset is the one after `offset`. */
  resolveOffset(place: TopicPartition & { readonly offset: string }): void;
}

/** A batch remembers the assignment it was fetched under; kafkajs makes one offset manager per assignment. */
interface TaggedBatch {
  readonly topic: string;
  readonly partition: number;
  assignment?: OffsetManager;
}

interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

interface Cluster extends KafkaCluster {
  getNodeIds(): readonly unknown[];
  refreshMetadata(): Promise<void>;
  fetchTopicsOffset(
    topics: readonly unknown[],
  ): Promise<readonly { readonly partitions: readonly { readonly offset: string }[] }[]>;
}

interface ConsumerGroup {
  readonly offsetManager: OffsetManager;
  readonly topicConfigurations: Readonly<Record<string, { readonly fromBeginning?: boolean }>>;
  readonly cluster: Cluster;
  maxBytes: number;
  maxBytesPerPartition: number;
  /** When the group coordinator last answered, by the time of day. */
  lastRequest: number;
  heartbeat: (this: ConsumerGroup, options: { readonly interval: number }) => Promise<void>;
  recoverFromFetch: (this: ConsumerGroup, error: unknown) => Promise<void>;
  recoverFromOffsetOutOfRange: (this: ConsumerGroup, place: TopicPartition) => Promise<void>;
  fetch: (this: ConsumerGroup, nodeId: string) => Promise<TaggedBatch[]>;
}

interface Runner {
  readonly consumerGroup: ConsumerGroup;
  handleBatch: (this: Runner, batch: TaggedBatch) => Promise<void>;
}

interface RequestQueue {
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests: (this: RequestQueue) => void;
}

interface Connection {
  chunks: Buffer[];
  bytesBuffered: number;
  bytesNeeded: number;
  isConnected(): boolean;
  connect: (this: Connection) => Promise<unknown>;
  processData: (this: Connection, data: Buffer) => void;
}

interface ClassOf<T> {
  readonly prototype: T;
}

/** The classes of kafkajs that are changed. */
export interface KafkajsInternals {
  readonly Connection: ClassOf<Connection>;
  readonly RequestQueue: ClassOf<RequestQueue>;
  readonly ConsumerGroup: ClassOf<ConsumerGroup>;
  readonly Runner: ClassOf<Runner>;
}

export function repairKafkajs(internals: KafkajsInternals): void {
  const { Connection, RequestQueue, ConsumerGroup, Runner } = internals;
  forgetHalfResponses(Connection.prototype);
  letGoOfResponses(Connection.prototype);
  stopIdleTimer(RequestQueue.prototype);
  dropStaleBatches(ConsumerGroup.prototype, Runner.prototype);
  rememberLostOffsets(ConsumerGroup.prototype);
  findBrokersAgain(ConsumerGroup.prototype);
  fitFetchesToLink(ConsumerGroup.prototype);
  beatAfterClockSteps(ConsumerGroup.prototype);
}

/** Each connection re-arms a timer of 1 ms for ever, even when no request waits to be sent. */
function stopIdleTimer(queue: RequestQueue): void {
  const { scheduleCheckPendingRequests } = queue;
  queue.scheduleCheckPendingRequests = function scheduleWhenPending(this: RequestQueue): void {
    if (this.pending.length > 0) scheduleCheckPendingRequests.call(this);
  };
}

/** Length of the size that each response begins with. */
const SIZE_BYTES = 4;

/**
 * A connection is used again after its socket was cut. What had come of a response by then would be taken for the
 * begin of what the next socket receives: all later responses would be misread, for ever.
 */
function forgetHalfResponses(connection: Connection): void {
  const { connect } = connection;
  connection.connect = async function connectAfresh(this: Connection): Promise<unknown> {
    if (!this.isConnected()) {
      this.chunks = [];
      this.bytesBuffered = 0;
      this.bytesNeeded = SIZE_BYTES;
    }
    return await connect.call(this);
  };
}

/**
 * What is left behind a response, mostly nothing, is kept as a view of it: with a huge one its whole memory, until the
 * next response has come in full.
 */
function letGoOfResponses(connection: Connection): void {
  const { processData } = connection;
  connection.processData = function processAndLetGo(this: Connection, data: Buffer): void {
    processData.call(this, data);
    if (this.bytesBuffered === 0) this.chunks = [];
  };
}

/**
 * With several brokers one fetch loop may rejoin the group while the others go on: what they fetched under the
 * old assignment would reach the handler under the new one, ahead of the offset that one starts from.
 */
function dropStaleBatches(group: ConsumerGroup, runner: Runner): void {
  const { fetch } = group;
  group.fetch = async function fetchTagged(this: ConsumerGroup, nodeId: string): Promise<TaggedBatch[]> {
    const assignment = this.offsetManager;
    const batches = await fetch.call(this, nodeId);
    for (const batch of batches) batch.assignment = assignment;
    return batches;
  };
  const { handleBatch } = runner;
  runner.handleBatch = async function handleCurrent(this: Runner, batch: TaggedBatch): Promise<void> {
    if (batch.assignment === this.consumerGroup.offsetManager) await handleBatch.call(this, batch);
  };
}

/** Offsets that the broker no longer had; `to`, exclusive, is where reading went on. */
export interface LostStretch {
  readonly from: number;
  /** Below `from` when the log was cut off at its end. */
  readonly to: number;
}

const lostStretches = new WeakMap<OffsetManager, Map<string, LostStretch>>();

/**
 * An offset that the broker no longer has is replaced by the default one, and nobody is told which it was. Nor is
 * the default committed here, as kafkajs does: when the assignment changes before the lane has gone on, whoever
 * comes next must find the same gap.
 */
function rememberLostOffsets(group: ConsumerGroup): void {
  group.recoverFromOffsetOutOfRange = async function recoverTelling(
    this: ConsumerGroup,
    { topic, partition }: TopicPartition,
  ): Promise<void> {
    const { offsetManager, cluster } = this;
    // A topic that was made again has nothing to do with the offset.
    if (!(await areTopicsCurrent(cluster))) return;
    const position = Number(offsetManager.nextOffset(topic, partition).toString());
    const [answer] = await cluster.fetchTopicsOffset([
      { ...this.topicConfigurations[topic], topic, partitions: [{ partition }] },
    ]);
    const to = Number(answer?.partitions[0]?.offset ?? position);
    if (to === position) return;
    const lost = lostStretches.get(offsetManager) ?? new Map<string, LostStretch>();
    lostStretches.set(offsetManager, lost);
    const key = keyOf({ topic, partition });
    // Lost again before anything was read: one stretch.
    lost.set(key, { from: lost.get(key)?.from ?? position, to });
    offsetManager.resolveOffset({ topic, partition, offset: String(to - 1) });
  };
}

/** What was lost before this batch of kafkajs, told until the batch was taken. */
export function lostStretch(batch: TopicPartition): LostStretch | undefined {
  return lostOf(batch)?.get(keyOf(batch));
}

export function forgetLost(batch: TopicPartition): void {
  lostOf(batch)?.delete(keyOf(batch));
}

function lostOf(batch: TopicPartition): Map<string, LostStretch> | undefined {
  const { assignment } = batch as Partial<TaggedBatch>;
  return assignment === undefined ? undefined : lostStretches.get(assignment);
}

/**
 * A broker that closes its connection is forgotten. When it was the only one known, the next round finds none and
 * the consumer crashes at once, although the brokers of the configuration could be asked.
 */
function findBrokersAgain(group: ConsumerGroup): void {
  const { recoverFromFetch } = group;
  group.recoverFromFetch = async function recoverAsking(this: ConsumerGroup, error: unknown): Promise<void> {
    await recoverFromFetch.call(this, error);
    if (this.cluster.getNodeIds().length === 0) await this.cluster.refreshMetadata();
  };
}

const MIN_FETCH_BYTES = 64 << 10;
/** The member is silent while it fetches: this must be well below its session timeout and the time of a request. */
const LONG_FETCH_MS = 2500;
const SHORT_FETCH_MS = 1000;

/**
 * On a slow link a fetch may bring more than fits into the time of a request: it is given up, its connection is cut,
 * and the same bytes are asked for again, for ever. Asks for less after a fetch that took long, up to the configured
 * sizes again after short ones.
 */
function fitFetchesToLink(group: ConsumerGroup): void {
  const { fetch } = group;
  const configured = new WeakMap<ConsumerGroup, Pick<ConsumerGroup, 'maxBytes' | 'maxBytesPerPartition'>>();
  group.fetch = async function fetchFitting(this: ConsumerGroup, nodeId: string): Promise<TaggedBatch[]> {
    const { maxBytes, maxBytesPerPartition } = this;
    const limits = configured.get(this) ?? { maxBytes, maxBytesPerPartition };
    configured.set(this, limits);
    const beganMs = performance.now();
    try {
      return await fetch.call(this, nodeId);
    } finally {
      const elapsedMs = performance.now() - beganMs;
      const isShort = elapsedMs < SHORT_FETCH_MS;
      const factor = elapsedMs > LONG_FETCH_MS ? SHORT_FETCH_MS / elapsedMs : isShort ? 2 : 1;
      const fit = (bytes: number, limit: number): number =>
        Math.min(limit, Math.max(MIN_FETCH_BYTES, Math.floor(bytes * factor)));
      this.maxBytes = fit(maxBytes, limits.maxBytes);
      this.maxBytesPerPartition = fit(maxBytesPerPartition, limits.maxBytesPerPartition);
    }
  };
}

/** When the time of day was set back, the next heartbeat would be due only when it has caught up. */
function beatAfterClockSteps(group: ConsumerGroup): void {
  const { heartbeat } = group;
  group.heartbeat = async function beat(
    this: ConsumerGroup,
    options: { readonly interval: number },
  ): Promise<void> {
    this.lastRequest = Math.min(this.lastRequest, Date.now());
    await heartbeat.call(this, options);
  };
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
