/**
 * What processing a stretch of a topic again needs of Kafka and ClickHouse. The edges implement these; the commands
 * put them together.
 */
import type { Block, ParseResult, ParseTask } from '../pipeline/parse-protocol.ts';
import type { LaneKey } from '../pipeline/ports.ts';

export type ReplayMode = 'missing' | 'replace';

/** Offsets [fromOffset, toOffset) of one partition. */
export interface OffsetRange {
  readonly partition: number;
  readonly fromOffset: number;
  readonly toOffset: number;
}

/** Offsets [fromOffset, toOffset) of one lane. */
export interface LaneRange extends LaneKey {
  readonly fromOffset: number;
  readonly toOffset: number;
}

/** What Kafka says of a topic now. */
export interface TopicView {
  readonly clusterId: string;
  readonly partitions: readonly {
    readonly partition: number;
    readonly earliestOffset: number;
    /** Exclusive. */
    readonly endOffset: number;
  }[];
  /** For each time asked for (milliseconds), by partition: the first offset at or after it; the end when there is none. */
  readonly offsetsAt: ReadonlyMap<number, ReadonlyMap<number, number>>;
}

/** Undecoded record batches that hold the records of a range; none where the range holds no records. */
export interface ReadBatches extends OffsetRange {
  /** The batches, concatenated; the first and the last may reach beyond the range. */
  readonly memory: SharedArrayBuffer;
  /** The first batch when it begins before the range. */
  readonly spanning?: { readonly byteLength: number; readonly lastOffset: number } | undefined;
}

/** Takes the ranges of a partition in order and without gaps; never called while an earlier call is under way. */
export type OnBatches = (read: ReadBatches) => Promise<void>;

/** A part of a lane's range as it is parsed and stored in one go. */
export interface ChunkRange extends LaneRange {
  /** Stands in for the time of records that carry none; rows with it are known by their offset alone. Microseconds. */
  readonly receivedUs: number;
}

export interface ChunkBlocks {
  readonly logs: readonly Block[];
  readonly deadLetters: readonly Block[];
}

/** Rows and letters that were written: into the tables, or into the staging of `replace`. */
export interface WrittenCounts {
  readonly rowCount: number;
  readonly letterCount: number;
  /** Rows of records that Kafka no longer has, or that carry no time to know them by: they stay as they are. */
  readonly keptCount: number;
}

/** Where a chunk goes. */
export interface ChunkStore {
  /** Offsets whose records are letters that parsing cannot judge (refused by ClickHouse, deadly to workers), ascending. */
  heldOffsets(range: LaneRange): Promise<readonly number[]>;
  put(range: ChunkRange, blocks: ChunkBlocks): Promise<WrittenCounts>;
}

/** The parse workers; rejects with `thread_died` when the worker ended while it had the task. */
export type Parse = (task: ParseTask) => Promise<ParseResult>;
