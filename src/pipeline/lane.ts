/**
 * The ordered work of one partition for as long as it is this process's: its chunks in offset order, what is in
 * flight, and the contiguous offset up to which everything is stored.
 */
import { MillraceError } from '../errors.ts';
import type { Chunk, ChunkOutcome } from './chunk.ts';
import type { ParseTask } from './parse-protocol.ts';
import type { LaneStanding, LaneToken, LedgerEntry } from './ports.ts';
import { NOTHING_PRESENT, type PresentByTable, presentEnd, slicePresent } from './present.ts';

export interface LaneSpec {
  /** Number from the `sources` table. */
  readonly source: number;
  readonly partition: number;
  /** Name people know it by: the topic, or the kind of a direct source. */
  readonly name: string;
  /** Token of the claim. */
  readonly epoch: number;
  readonly startOffset: number;
  /** Where the source stands when the lane opens, as far as its commits go; absent: at `startOffset`. */
  readonly sourceOffset?: number;
  /** Taken over for one stretch of offsets, which may lie anywhere in it. */
  readonly isAdopted?: boolean;
  /** Called when somebody else took the lane, after it was closed. */
  readonly onLost?: () => void;
}

/** What is stored of a lane already. */
export type FoundRows = Pick<LaneStanding, 'present' | 'presentTo'>;

export interface Tally {
  receivedCount: number;
  storedCount: number;
  alreadyPresentCount: number;
  lostUpstreamCount: number;
  readonly filtered: Record<string, number>;
  readonly deadLettered: Record<string, number>;
}

function emptyTally(): Tally {
  return {
    receivedCount: 0,
    storedCount: 0,
    alreadyPresentCount: 0,
    lostUpstreamCount: 0,
    filtered: {},
    deadLettered: {},
  };
}

/**
 * Modes: `open` (chunks come and go); `doubtful` (what became of an insert is not known: chunks come, none goes, until
 * the lane was claimed anew) and `closed` (it is no longer this process's: nothing of it may be stored any more).
 */
export class Lane {
  readonly spec: LaneSpec;
  readonly chunks: Chunk[] = [];
  /** End of the partition as its source last saw it (exclusive). */
  highWatermark = 0;
  /** When a chunk was last stored, or the first came into an empty lane; milliseconds of the steady clock. */
  lastProgressMs = 0;
  isDoubtful = false;
  /** Doubts since something was stored last. */
  doubtCount = 0;
  /** Tasks that a parse worker has in hand. */
  parsingCount = 0;
  #isClosed = false;
  #epoch: number;
  #present: PresentByTable;
  #presentEnd: number;
  #presentTo: number;
  /** Next offset expected from the source. */
  #takenOffset: number;
  #storedOffset: number;
  #committedOffset: number;
  readonly #uncommitted = emptyTally();
  readonly #total = emptyTally();

  constructor(spec: LaneSpec, { present, presentTo }: FoundRows) {
    this.spec = spec;
    this.#epoch = spec.epoch;
    this.#present = present;
    this.#presentTo = presentTo ?? Number.POSITIVE_INFINITY;
    this.#presentEnd = presentEnd(this.#present);
    this.#takenOffset = spec.startOffset;
    this.#storedOffset = spec.startOffset;
    this.#committedOffset = spec.startOffset;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get takenOffset(): number {
    return this.#takenOffset;
  }

  get storedOffset(): number {
    return this.#storedOffset;
  }

  get committedOffset(): number {
    return this.#committedOffset;
  }

  /** What an insert of its rows must state. */
  get token(): LaneToken {
    return { source: this.spec.source, partition: this.spec.partition, epoch: this.#epoch };
  }

  /** Rows stored and not yet in the ledger: what the next owner would have to read back. */
  get unledgeredCount(): number {
    return this.#uncommitted.storedCount + this.#uncommitted.alreadyPresentCount;
  }

  /** What was stored since the lane opened. */
  get total(): Readonly<Tally> {
    return this.#total;
  }

  close(): void {
    this.#isClosed = true;
  }

  /** The lane was claimed anew: it goes on past what turned out to be stored. */
  resume({ epoch, present, presentTo }: LaneStanding): void {
    this.#epoch = epoch;
    this.#present = present;
    this.#presentEnd = presentEnd(present);
    this.#presentTo = presentTo ?? Number.POSITIVE_INFINITY;
    this.isDoubtful = false;
  }

  /** Whether all of the chunk lies in what was read back: where much was stored, that goes page by page. */
  isReadBack({ toOffset }: Chunk): boolean {
    return toOffset <= this.#presentTo;
  }

  /** Records of a range that are stored already. */
  presentCount(fromOffset: number, toOffset: number): number {
    const present = slicePresent(this.#present, fromOffset, toOffset);
    return present === undefined ? 0 : present.logs.offsets.length + present.dead_letters.offsets.length;
  }

  /** The chunk as work for a parse worker. */
  taskFor({ fromOffset, toOffset, receivedUs, refusal, shared }: Chunk): ParseTask {
    if (shared === undefined)
      throw new MillraceError('internal', 'A chunk without batches was to be parsed.');
    const present =
      fromOffset < this.#presentEnd ? slicePresent(this.#present, fromOffset, toOffset) : undefined;
    return {
      kind: 'parse',
      memory: shared.stretch.memory,
      start: shared.stretch.start,
      length: shared.stretch.length,
      source: this.spec.source,
      partition: this.spec.partition,
      firstOffset: fromOffset,
      endOffset: toOffset,
      receivedUs,
      ...(refusal === undefined ? {} : { refusal }),
      ...(present === undefined ? {} : { present }),
    };
  }

  push(chunk: Chunk): void {
    this.chunks.push(chunk);
    this.#takenOffset = chunk.toOffset;
  }

  /** Puts `parts` in the place of `chunk`, so that order and contiguity stay. */
  replace(chunk: Chunk, parts: readonly Chunk[]): void {
    const index = this.chunks.indexOf(chunk);
    if (index >= 0) this.chunks.splice(index, 1, ...parts);
  }

  /** Parsed chunks that may go to the writer now: those with only handed-over chunks before them. */
  takeWritable(): Chunk[] {
    const writable: Chunk[] = [];
    for (const chunk of this.chunks) {
      if (chunk.state === 'queued' || chunk.state === 'parsing') break;
      if (chunk.state === 'parsed') writable.push(chunk);
    }
    return writable;
  }

  /** Drops the stored chunks at the head and advances the stored offset; returns them. */
  takeStored(): Chunk[] {
    let count = 0;
    while (this.chunks[count]?.state === 'stored') count++;
    const stored = this.chunks.splice(0, count);
    for (const chunk of stored) {
      this.#storedOffset = chunk.toOffset;
      if (chunk.outcome === undefined) continue;
      addToTally(this.#uncommitted, chunk.outcome);
      addToTally(this.#total, chunk.outcome);
    }
    if (stored.length > 0) this.doubtCount = 0;
    if (this.#storedOffset >= this.#presentEnd) this.#present = NOTHING_PRESENT;
    return stored;
  }

  /** What was stored since the last commit, as a ledger row; undefined when nothing was. */
  ledgerEntry(): LedgerEntry | undefined {
    if (this.#storedOffset === this.#committedOffset) return undefined;
    return {
      ...this.token,
      fromOffset: this.#committedOffset,
      toOffset: this.#storedOffset,
      receivedCount: this.#uncommitted.receivedCount,
      storedCount: this.#uncommitted.storedCount,
      alreadyPresentCount: this.#uncommitted.alreadyPresentCount,
      lostUpstreamCount: this.#uncommitted.lostUpstreamCount,
      filtered: { ...this.#uncommitted.filtered },
      deadLettered: { ...this.#uncommitted.deadLettered },
    };
  }

  /** The entry from `ledgerEntry` was committed: later entries start where it ended. */
  committed(entry: LedgerEntry): void {
    this.#committedOffset = entry.toOffset;
    subtractFromTally(this.#uncommitted, entry);
  }
}

function addToTally(tally: Tally, outcome: ChunkOutcome): void {
  tally.receivedCount += outcome.receivedCount;
  tally.storedCount += outcome.storedCount;
  tally.alreadyPresentCount += outcome.alreadyPresentCount;
  tally.lostUpstreamCount += outcome.lostUpstreamCount;
  addCounts(tally.filtered, outcome.filtered, 1);
  addCounts(tally.deadLettered, outcome.deadLettered, 1);
}

function subtractFromTally(tally: Tally, entry: LedgerEntry): void {
  tally.receivedCount -= entry.receivedCount;
  tally.storedCount -= entry.storedCount;
  tally.alreadyPresentCount -= entry.alreadyPresentCount;
  tally.lostUpstreamCount -= entry.lostUpstreamCount;
  addCounts(tally.filtered, entry.filtered, -1);
  addCounts(tally.deadLettered, entry.deadLettered, -1);
}

function addCounts(
  into: Record<string, number>,
  counts: Readonly<Record<string, number>>,
  sign: 1 | -1,
): void {
  for (const [reason, count] of Object.entries(counts)) {
    const sum = (into[reason] ?? 0) + sign * count;
    if (sum === 0) delete into[reason];
    else into[reason] = sum;
  }
}

/** Rows of all these lanes that are stored and not yet in the ledger. */
export function countUnledgered(lanes: Iterable<Lane>): number {
  let count = 0;
  for (const lane of lanes) count += lane.unledgeredCount;
  return count;
}
