/**
 * The unit of work of a lane: a range of offsets with the record batches that hold it, and what became of it so far.
 */
import type { DeadLetterReason } from '../event/reasons.ts';
import type { Stretch } from './arena.ts';
import type { Block, DeadLetterNote } from './parse-protocol.ts';

/**
 * `queued` → `parsing` → `parsed` → `writing` → `stored`; back to `queued` when its lane became doubtful. A refused or
 * deadly chunk is replaced by its halves.
 */
export type ChunkState = 'queued' | 'parsing' | 'parsed' | 'writing' | 'stored';

/** Record batches that several chunks may share after a split; released with the last of them. */
export interface SharedStretch {
  readonly stretch: Stretch;
  userCount: number;
}

/** What became of the records of a chunk; the blocks themselves are with the writer. */
export interface ChunkOutcome {
  readonly receivedCount: number;
  readonly storedCount: number;
  readonly alreadyPresentCount: number;
  /** Offsets that Kafka had deleted before they were read; not part of `receivedCount`. */
  readonly lostUpstreamCount: number;
  readonly filtered: Readonly<Record<string, number>>;
  readonly deadLettered: Readonly<Record<string, number>>;
  readonly deadLetterOffsets: Float64Array;
  readonly deadLetterNotes: readonly DeadLetterNote[];
}

/** Offsets [fromOffset, toOffset) of a lane, with the record batches that hold them. */
export interface Chunk {
  /** Absent: there never were batches, since Kafka had deleted them. */
  readonly shared?: SharedStretch;
  readonly fromOffset: number;
  readonly toOffset: number;
  readonly receivedUs: number;
  state: ChunkState;
  /** A worker ended while it had this chunk and perhaps another one: it is parsed by a worker of its own. */
  isSuspect: boolean;
  /** ClickHouse refused an insert with its rows and perhaps others': each of its blocks is sent alone next time. */
  isAlone: boolean;
  /** What ClickHouse said of its rows when they came alone. */
  refusedAlone?: string | undefined;
  /** Set when ClickHouse refused its rows or it kept killing workers, and it can be split no further. */
  refusal?: ChunkRefusal;
  /** Blocks that wait for their turn in the lane's order. */
  blocks?: ChunkBlocks | undefined;
  outcome?: ChunkOutcome;
  openBlockCount: number;
  /** When its rows went to the writer first, milliseconds since the epoch. */
  sentMs?: number;
  /** Called in offset order; after a split once for every part, each with its own range. */
  readonly onStored?: (outcome: ChunkOutcome, toOffset: number) => void;
}

export interface ChunkRefusal {
  readonly reason: DeadLetterReason;
  readonly detail: string;
  /** Not even reading it is safe: the letter holds the batches as they came. */
  readonly isUndecoded?: boolean;
}

export interface ChunkBlocks {
  readonly logs: readonly Block[];
  readonly deadLetters: readonly Block[];
}

/** What a source hands in. */
export interface NewChunk {
  readonly stretch: Stretch;
  readonly fromOffset: number;
  readonly toOffset: number;
  readonly receivedUs: number;
  readonly onStored?: (outcome: ChunkOutcome, toOffset: number) => void;
}

export function createChunk({ stretch, ...range }: NewChunk): Chunk {
  return {
    ...range,
    shared: { stretch, userCount: 1 },
    state: 'queued',
    isSuspect: false,
    isAlone: false,
    openBlockCount: 0,
  };
}

export interface LostStretch {
  readonly fromOffset: number;
  /** Exclusive. */
  readonly toOffset: number;
  /** Records of it that were stored before Kafka deleted them. */
  readonly presentCount: number;
}

/** Stands for offsets that Kafka no longer has, so that the lane stays contiguous and its ledger names them. */
export function createLostChunk({ fromOffset, toOffset, presentCount }: LostStretch): Chunk {
  return {
    fromOffset,
    toOffset,
    receivedUs: 0,
    state: 'stored',
    isSuspect: false,
    isAlone: false,
    openBlockCount: 0,
    outcome: {
      receivedCount: presentCount,
      storedCount: 0,
      alreadyPresentCount: presentCount,
      lostUpstreamCount: toOffset - fromOffset - presentCount,
      filtered: {},
      deadLettered: {},
      deadLetterOffsets: new Float64Array(),
      deadLetterNotes: [],
    },
  };
}

/** The halves of a chunk, or, when it is one offset, the same chunk as a dead letter; they share its memory. */
export function refuseChunk(chunk: Chunk, refusal: ChunkRefusal): Chunk[] {
  if (chunk.toOffset - chunk.fromOffset > 1) {
    return splitChunk(chunk, Math.floor((chunk.fromOffset + chunk.toOffset) / 2));
  }
  return [{ ...chunk, refusal }];
}

/** Two chunks in the place of one. */
export function splitChunk(chunk: Chunk, atOffset: number): [Chunk, Chunk] {
  if (chunk.shared !== undefined) chunk.shared.userCount++;
  return [
    { ...chunk, toOffset: atOffset },
    { ...chunk, fromOffset: atOffset },
  ];
}

/** Bytes of the blocks that wait with the chunk. */
export function blockBytesOf({ blocks }: Chunk): number {
  if (blocks === undefined) return 0;
  return [...blocks.logs, ...blocks.deadLetters].reduce((sum, block) => sum + block.bytes.byteLength, 0);
}
