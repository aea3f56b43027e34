/**
 * Ports between the actors and the edges. The pipeline knows these and no library.
 */
import type { Block } from './parse-protocol.ts';

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface AssignedPartition extends TopicPartition {
  /**
   * Kafka's id of the topic: another one stands for another topic of the same name. Empty when the broker cannot
   * tell (older than 2.8).
   */
  readonly topicId: string;
}

/** One undecoded RecordBatch v2 as fetched. `bytes` is valid only until the delivery's promise settles. */
export interface FetchedBatch {
  readonly bytes: Uint8Array;
  readonly baseOffset: number;
  readonly lastOffset: number;
}

export interface Delivery extends TopicPartition {
  readonly epoch: number;
  /** The offset asked for; a batch that spans it arrives whole, records below it must be skipped. */
  readonly fetchOffset: number;
  readonly batches: readonly FetchedBatch[];
  /** End of the partition as the broker sees it (exclusive). */
  readonly highWatermark: number;
  /**
   * Set: the broker no longer had this offset, and the source went on at `fetchOffset`; what lies between is lost.
   * Greater than `fetchOffset` when the log was cut off at its end, or made again by a broker that has no topic ids.
   * Stated again until the delivery is taken, and in each epoch until an offset behind it is committed.
   */
  readonly lostFromOffset?: number;
  /** First offset that the broker still has; absent where it does not say. */
  readonly logStartOffset?: number;
}

export interface KafkaSourceHandlers {
  /**
   * A new assignment epoch began; all work of earlier epochs is void. Comes before its first delivery. Of a topic,
   * all that is delivered in this epoch is of the id stated here.
   */
  onAssigned(epoch: number, partitions: readonly AssignedPartition[]): Promise<void>;
  /**
   * Takes the batches of one partition, in order. Resolves when the bytes were copied; a late answer is back-pressure.
   * Rejects with `sources_exhausted` when nothing of the partition can be taken in this epoch, nor asked for again.
   */
  onDelivery(delivery: Delivery, heartbeat: () => Promise<void>): Promise<void>;
}

export interface OffsetCommit extends TopicPartition {
  /** The next offset to read. */
  readonly offset: number;
}

export interface KafkaSourceStatus {
  readonly state: 'idle' | 'connecting' | 'running' | 'waiting' | 'stopped';
  /** A member of the group whose coordinator answered lately. */
  readonly isConnected: boolean;
  readonly epoch: number;
  /** Partitions assigned in the current epoch. */
  readonly partitionCount: number;
  /** What went wrong last; while connected only that topics are missing. */
  readonly lastError?: string;
}

export interface KafkaSource {
  /** Id of the Kafka cluster; empty before the first connection, known before the first `onAssigned`. */
  readonly clusterId: string;
  /** Begins; does not wait for Kafka, which may come later: `status()` tells. */
  start(handlers: KafkaSourceHandlers): Promise<void>;
  /** Refused with `lane_closed` when `epoch` is not the current one. Commit first, stop second. */
  commit(epoch: number, offsets: readonly OffsetCommit[]): Promise<void>;
  /**
   * Ends the session at once, with its epoch, and joins the group anew. Does nothing when `epoch` is not the current one.
   */
  rejoin(epoch: number, reason: string): void;
  status(): KafkaSourceStatus;
  stop(deadlineMs: number): Promise<void>;
}

/** A row of the ledger: what became of one committed stretch of one lane (law 1). */
export interface LedgerEntry {
  readonly source: number;
  readonly partition: number;
  readonly epoch: number;
  readonly fromOffset: number;
  /** Exclusive. */
  readonly toOffset: number;
  readonly receivedCount: number;
  readonly storedCount: number;
  readonly alreadyPresentCount: number;
  /** Offsets that Kafka had deleted before they were read; not part of `receivedCount`. */
  readonly lostUpstreamCount: number;
  readonly filtered: Readonly<Record<string, number>>;
  readonly deadLettered: Readonly<Record<string, number>>;
}

export type BlockTable = 'logs' | 'dead_letters';

/** A lane as ClickHouse knows it. */
export interface LaneKey {
  readonly source: number;
  readonly partition: number;
}

/** The right to write rows of a lane: the token of its claim. Every insert states it, and is refused when it is revoked. */
export interface LaneToken extends LaneKey {
  readonly epoch: number;
}

export interface ClaimRequest extends LaneKey {
  /** Read what is present from here on; absent: from the end of the ledger on. */
  readonly fromOffset?: number;
  /** Read what is present below this only (exclusive): nothing past it is asked for, nor its rollups repaired. */
  readonly toOffset?: number;
  /** The token held now. Somebody else's claim since then makes the request fail with `lane_closed`. */
  readonly heldEpoch?: number;
}

export interface ClaimOptions {
  /** Asked between the steps: once false, the claim gives its tokens back and rejects with `lane_closed`. */
  readonly isWanted?: (() => boolean) | undefined;
}

/** Rows by ascending offset: offsets, and their record times in microseconds, place by place. */
export interface PresentRows {
  readonly offsets: Float64Array;
  readonly times: Float64Array;
}

/** What was found when a lane was taken over. Nobody else can write rows of it any more. */
export interface LaneStanding extends LaneToken {
  /** End of the last stretch that the ledger holds (exclusive); absent: it holds none. */
  readonly ledgerOffset?: number;
  /**
   * Set: there is more than is read in one claim. `present` is complete below this offset and holds nothing of it and
   * what follows: the lane must be claimed again when it gets there.
   */
  readonly presentTo?: number;
  /** What is stored at or past the offset that was read back from. */
  readonly present: Readonly<Record<BlockTable, PresentRows>>;
}

export interface LaneOwnership {
  /**
   * Takes the lanes: new tokens, all others revoked, none of their inserts running any more, rollups of the touched
   * minutes computed anew. Standings are in the order of the requests. A lane whose `heldEpoch` somebody else has
   * revoked has no standing (undefined); any other failure rejects the whole, and it may be tried again.
   */
  claim(
    requests: readonly ClaimRequest[],
    options?: ClaimOptions,
  ): Promise<readonly (LaneStanding | undefined)[]>;
}

/** Where blocks go. Errors are MillraceErrors: `isRetryable` decides between waiting and bisecting. */
export interface BlockStore {
  /**
   * One INSERT of all blocks; resolves when ClickHouse acknowledged it. `tokens` holds those of all lanes of the
   * blocks; a revoked one makes the whole insert fail with `lane_closed`. After any failure it is unknown what was stored.
   */
  insertBlocks(table: BlockTable, blocks: readonly Block[], tokens: readonly LaneToken[]): Promise<void>;
  /** Guarded by the epochs of the entries in the same way. */
  insertLedger(entries: readonly LedgerEntry[]): Promise<void>;
}

/** Clock and timers, handed in so that tests can drive them. */
export interface Clock {
  /** Milliseconds since the epoch; may jump when the time of day is set. */
  now(): number;
  /** Milliseconds of a clock that nobody sets: for all durations. Begins anywhere. */
  steady(): number;
}
