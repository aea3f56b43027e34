/**
 * Ports between the actors and the edges. The pipeline knows these and no library.
 */
import type { Block } from './parse-protocol.ts';

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
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
   * Greater than `fetchOffset` when the topic was deleted and created again.
   */
  readonly lostFromOffset?: number;
}

export interface KafkaSourceHandlers {
  /** A new assignment epoch began; all work of earlier epochs is void. Comes before its first delivery. */
  onAssigned(epoch: number, partitions: readonly TopicPartition[]): Promise<void>;
  /** Takes the batches of one partition, in order. Resolves when the bytes were copied; a late answer is back-pressure. */
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
  /** What went wrong last; absent while connected. */
  readonly lastError?: string;
}

export interface KafkaSource {
  /** Id of the Kafka cluster; empty before the first connection, known before the first `onAssigned`. */
  readonly clusterId: string;
  /** Begins; does not wait for Kafka, which may come later: `status()` tells. */
  start(handlers: KafkaSourceHandlers): Promise<void>;
  /** Refused with `lane_closed` when `epoch` is not the current one. Commit first, stop second. */
  commit(epoch: number, offsets: readonly OffsetCommit[]): Promise<void>;
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
  readonly filtered: Readonly<Record<string, number>>;
  readonly deadLettered: Readonly<Record<string, number>>;
}

export type BlockTable = 'logs' | 'dead_letters';

/** Where blocks go. Errors are MillraceErrors: `isRetryable` decides between waiting and bisecting. */
export interface BlockStore {
  /** One INSERT of all blocks; resolves when ClickHouse acknowledged it. */
  insertBlocks(table: BlockTable, blocks: readonly Block[]): Promise<void>;
  insertLedger(entries: readonly LedgerEntry[]): Promise<void>;
}

/** Clock and timers, handed in so that tests can drive them. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}
