/**
 * The ordered work of one partition in one assignment epoch: its chunks in offset order, what is in flight,
 * and the contiguous offset up to which everything is stored.
 */
import type { Chunk, ChunkOutcome } from './chunk.ts';
import type { LedgerEntry } from './ports.ts';

export interface LaneSpec {
  /** Number from the `sources` table. */
  readonly source: number;
  readonly partition: number;
  /** Name people know it by: the topic, or the kind of a direct source. */
  readonly name: string;
  readonly epoch: number;
  readonly startOffset: number;
}

export interface Tally {
  receivedCount: number;
  storedCount: number;
  readonly filtered: Record<string, number>;
  readonly deadLettered: Record<string, number>;
}

function emptyTally(): Tally {
  return { receivedCount: 0, storedCount: 0, filtered: {}, deadLettered: {} };
}

/** Modes: `open` (chunks come and go) and `closed` (its epoch ended: nothing of it may be stored any more). */
export class Lane {
  readonly spec: LaneSpec;
  readonly chunks: Chunk[] = [];
  /** End of the partition as its source last saw it (exclusive). */
  highWatermark = 0;
  /** When a chunk was last stored, or the first came into an empty lane; milliseconds since the epoch. */
  lastProgressMs = 0;
  isRetired = false;
  #isClosed = false;
  /** Next offset expected from the source. */
  #takenOffset: number;
  #storedOffset: number;
  #committedOffset: number;
  readonly #uncommitted = emptyTally();
  readonly #total = emptyTally();

  constructor(spec: LaneSpec) {
    this.spec = spec;
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

  /** What was stored since the lane opened. */
  get total(): Readonly<Tally> {
    return this.#total;
  }

  close(): void {
    this.#isClosed = true;
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
    return stored;
  }

  /** What was stored since the last commit, as a ledger row; undefined when nothing was. */
  ledgerEntry(): LedgerEntry | undefined {
    if (this.#storedOffset === this.#committedOffset) return undefined;
    const { source, partition, epoch } = this.spec;
    return {
      source,
      partition,
      epoch,
      fromOffset: this.#committedOffset,
      toOffset: this.#storedOffset,
      receivedCount: this.#uncommitted.receivedCount,
      storedCount: this.#uncommitted.storedCount,
      alreadyPresentCount: 0,
      lostUpstreamCount: 0,
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
  addCounts(tally.filtered, outcome.filtered, 1);
  addCounts(tally.deadLettered, outcome.deadLettered, 1);
}

function subtractFromTally(tally: Tally, entry: LedgerEntry): void {
  tally.receivedCount -= entry.receivedCount;
  tally.storedCount -= entry.storedCount;
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
