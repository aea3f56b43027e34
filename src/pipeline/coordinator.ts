/**
 * Moves chunks of record batches from lanes through the parse pool to the writers and back into their lanes'
 * order. One owner of all lanes; no work per event.
 */
import { errorMessage, MillraceError, toMillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Arena } from './arena.ts';
import {
  type Chunk,
  type ChunkRefusal,
  createChunk,
  createLostChunk,
  type NewChunk,
  refuseChunk,
  splitChunk,
} from './chunk.ts';
import { ChunkWrites, type Writers } from './chunk-writes.ts';
import type { Health } from './health.ts';
import { countUnledgered, type FoundRows, Lane, type LaneSpec } from './lane.ts';
import { LaneRecovery } from './lane-recovery.ts';
import { type ParsePool, TASKS_PER_WORKER } from './parse-pool.ts';
import type { ParseResult } from './parse-protocol.ts';
import { ParseQueue, type Queued } from './parse-queue.ts';
import type { Clock, LaneOwnership } from './ports.ts';
import { StoredFeed } from './stored-feed.ts';
import { Totals } from './totals.ts';

export interface CoordinatorPorts {
  readonly arena: Arena;
  readonly pool: ParsePool;
  readonly writers: Writers;
  readonly ownership: LaneOwnership;
  readonly telemetry: Telemetry;
  readonly health: Health;
  readonly clock: Clock;
  /** Bytes of blocks that may wait for ClickHouse before no more is parsed. */
  readonly maxBlockBytes: number;
}

/** Rows that may be stored without being in the ledger, over all lanes: the next owner reads them back, 16 bytes each. */
const MAX_UNLEDGERED = 2_000_000;
/** Pause before a task that no worker could take, or that ends every worker, is tried again. */
const RETRY_DEAD_MS = 1000;

/**
 * Modes: chunks are dispatched in the order of their arrival while the pool has room and fewer than
 * `maxBlockBytes` of blocks wait; otherwise they stay in `#queue`, bounded by the arena. A doubtful lane rests:
 * its chunks wait in the lane alone until it was claimed anew. `closeLane` voids what a lane has in flight; results
 * for it are thrown away and its memory is released.
 */
export class Coordinator {
  readonly #ports: CoordinatorPorts;
  readonly #lanes = new Set<Lane>();
  readonly #queue = new ParseQueue();
  /** Chunks that a worker ended with: one at a time, by a worker of their own, while the others go on. */
  #isParsingSuspect = false;
  readonly #writes: ChunkWrites;
  readonly #recovery: LaneRecovery;
  #parsingCount = 0;
  readonly totals: Totals;
  readonly stored: StoredFeed;

  constructor(ports: CoordinatorPorts) {
    this.#ports = ports;
    this.totals = new Totals(ports.telemetry);
    this.stored = new StoredFeed(ports.clock, this.#lanes);
    this.#writes = new ChunkWrites(ports.writers, ports.telemetry, {
      feed: this.stored,
      onStored: (lane, chunk) => this.#stored(lane, chunk),
      onDoubt: (lane, error, mayHurry) => this.doubt(lane, error, mayHurry),
    });
    this.#recovery = new LaneRecovery(ports, {
      isAtRest: (lane) => lane.parsingCount === 0 && !this.#writes.isSending(lane),
      onResumed: (lane) => this.#resumed(lane),
      onLost: (lane) => this.loseLane(lane),
    });
  }

  get lanes(): Iterable<Lane> {
    return this.#lanes;
  }

  /** Chunks taken from sources and not yet stored. */
  get inFlightCount(): number {
    return [...this.#lanes].reduce((count, lane) => count + lane.chunks.length, 0);
  }

  get blockBytes(): number {
    return this.#writes.heldBytes;
  }

  /** True while parsed blocks may still come without new input. */
  get isParsing(): boolean {
    return this.#parsingCount > 0 || !this.#queue.isEmpty;
  }

  /** `found`: what is stored at or past its start already. */
  openLane(spec: LaneSpec, found: FoundRows): Lane {
    const lane = new Lane(spec, found);
    this.#lanes.add(lane);
    return lane;
  }

  closeLane(lane: Lane): void {
    if (lane.isClosed) return;
    lane.close();
    this.#lanes.delete(lane);
    this.#recovery.forget(lane);
    this.#queue.remove(lane);
    this.#writes.drop(lane);
    for (const chunk of lane.chunks) if (chunk.state !== 'parsing') this.#release(chunk);
    // Its blocks made room for those of others.
    this.dispatch();
  }

  /** Somebody else has taken the lane. */
  loseLane(lane: Lane): void {
    const { name, partition, onLost } = lane.spec;
    this.#ports.telemetry.emit('lane_lost', { lane: `${name}/${partition}` });
    this.closeLane(lane);
    onLost?.();
  }

  /** What became of an insert of the lane is not known: it rests until it was claimed anew. */
  doubt(lane: Lane, error: MillraceError, mayHurry = false): void {
    if (lane.isClosed) return;
    if (!lane.isDoubtful) {
      lane.isDoubtful = true;
      this.#queue.remove(lane);
      this.#writes.drop(lane);
    }
    this.#recovery.doubt(lane, error, mayHurry);
    this.dispatch();
  }

  submit(lane: Lane, work: NewChunk): void {
    const chunk = createChunk(work);
    if (lane.chunks.length === 0) lane.lastProgressMs = this.#ports.clock.steady();
    if (lane.isClosed) return this.#release(chunk);
    lane.push(chunk);
    this.#enqueue(lane, [chunk], 'back');
  }

  /** The source went on at `toOffset`: what lies before is lost, and the ledger says so. */
  skipLost(lane: Lane, toOffset: number): void {
    if (lane.isClosed || toOffset <= lane.takenOffset) return;
    const fromOffset = lane.takenOffset;
    const presentCount = lane.presentCount(fromOffset, toOffset);
    const chunk = createLostChunk({ fromOffset, toOffset, presentCount });
    lane.push(chunk);
    this.#stored(lane, chunk);
  }

  /** Chunks that waited for the ledger, or for anything else, may go. */
  dispatch(): void {
    for (let next = this.#queue.head; next !== undefined && this.#mayParse(next); next = this.#queue.head) {
      this.#queue.takeHead();
      if (next.lane.isReadBack(next.chunk)) void this.#parse(next.lane, next.chunk);
      else this.#waitForPage(next.lane);
    }
    const suspect = this.#isParsingSuspect ? undefined : this.#queue.takeSuspect();
    if (suspect !== undefined) void this.#parse(suspect.lane, suspect.chunk);
  }

  /** Claims the lane once more when all before is stored, to read back the next page of what is there. */
  #waitForPage(lane: Lane): void {
    this.#queue.remove(lane);
    if (lane.chunks[0]?.state !== 'queued') return;
    this.doubt(lane, new MillraceError('lane_closed', 'More is stored than is read back at once.'), true);
  }

  /** The head of a lane passes even when blocks fill their share: those behind it may be what fills it. */
  #mayParse({ lane, chunk }: Queued): boolean {
    const { pool, maxBlockBytes } = this.#ports;
    if (this.#parsingCount >= pool.workerCount * TASKS_PER_WORKER) return false;
    if (countUnledgered(this.#lanes) >= MAX_UNLEDGERED) return false;
    return this.blockBytes < maxBlockBytes || lane.chunks[0] === chunk;
  }

  async #parse(lane: Lane, chunk: Chunk): Promise<void> {
    const { pool } = this.#ports;
    const { isSuspect } = chunk;
    this.#parsingCount++;
    lane.parsingCount++;
    chunk.state = 'parsing';
    if (isSuspect) this.#isParsingSuspect = true;
    let result: ParseResult | undefined;
    let failure: unknown;
    try {
      const task = lane.taskFor(chunk);
      result = await (isSuspect ? pool.parseAlone(task) : pool.parse(task));
    } catch (error) {
      failure = error;
    }
    this.#parsingCount--;
    lane.parsingCount--;
    if (isSuspect) this.#isParsingSuspect = false;
    if (result === undefined) this.#died(lane, chunk, failure);
    else this.#parsed(lane, chunk, result);
    this.dispatch();
  }

  #parsed(lane: Lane, chunk: Chunk, result: ParseResult): void {
    if (lane.isClosed) return this.#release(chunk);
    chunk.isSuspect = false;
    if (lane.isDoubtful) {
      chunk.state = 'queued';
      return;
    }
    let done = chunk;
    if (result.reachedOffset < chunk.toOffset) {
      const [first, rest] = splitChunk(chunk, result.reachedOffset);
      lane.replace(chunk, [first, rest]);
      this.#enqueue(lane, [rest], 'front');
      done = first;
    }
    this.totals.addSlowPath(result.slowPathCount);
    this.#writes.keep(lane, done, result);
  }

  #died(lane: Lane, chunk: Chunk, error: unknown): void {
    if (lane.isClosed) return this.#release(chunk);
    this.#ports.telemetry.emit('worker_died', {
      lane: `${lane.spec.name}/${lane.spec.partition}`,
      fromOffset: chunk.fromOffset,
      error: errorMessage(error),
    });
    if (toMillraceError(error).code === 'shutting_down' || chunk.refusal?.isUndecoded === true) {
      // The worker could not be started, or not even copying bytes succeeds: no fault of the records.
      this.#retryLater(lane, chunk);
    } else if (!chunk.isSuspect) {
      // Another chunk may have ended the worker: alone it will show.
      chunk.isSuspect = true;
      this.#enqueue(lane, [chunk], 'front');
    } else if (chunk.refusal === undefined) {
      this.#refuse(lane, chunk, { reason: 'poison_record', detail: errorMessage(error) });
    } else {
      this.#refuse(lane, chunk, { ...chunk.refusal, isUndecoded: true });
    }
  }

  /** Bisects a chunk that cannot be handled as a whole, down to the record that becomes a dead letter. */
  #refuse(lane: Lane, chunk: Chunk, refusal: ChunkRefusal): void {
    const parts = refuseChunk(chunk, refusal);
    lane.replace(chunk, parts);
    this.#enqueue(lane, parts, 'front');
  }

  #retryLater(lane: Lane, chunk: Chunk): void {
    chunk.state = 'queued';
    setTimeout(() => {
      if (!lane.isClosed && chunk.state === 'queued' && lane.chunks.includes(chunk))
        this.#enqueue(lane, [chunk], 'front');
    }, RETRY_DEAD_MS).unref();
  }

  /** A lane that rests keeps its chunks for itself. */
  #enqueue(lane: Lane, chunks: readonly Chunk[], end: 'front' | 'back'): void {
    for (const chunk of chunks) chunk.state = 'queued';
    if (lane.isDoubtful) return;
    this.#queue.add(lane, chunks, end);
    this.dispatch();
  }

  /** Everything that is not stored is parsed again, past what turned out to be present. */
  #resumed(lane: Lane): void {
    const refused = lane.chunks.filter(
      (chunk) => chunk.refusedAlone !== undefined && chunk.refusal === undefined,
    );
    for (const chunk of refused) {
      lane.replace(chunk, refuseChunk(chunk, { reason: 'insert_refused', detail: chunk.refusedAlone ?? '' }));
    }
    const open = lane.chunks.filter(({ state }) => state !== 'stored');
    for (const chunk of open) chunk.refusedAlone = undefined;
    this.#enqueue(lane, open, 'front');
  }

  #stored(lane: Lane, chunk: Chunk): void {
    chunk.state = 'stored';
    for (const done of lane.takeStored()) {
      lane.lastProgressMs = this.#ports.clock.steady();
      this.#recovery.clear(lane);
      this.stored.stored(lane, done);
      this.#release(done);
      if (done.outcome === undefined) continue;
      this.totals.add(done.outcome);
      done.onStored?.(done.outcome, done.toOffset);
    }
    const [next] = lane.chunks;
    if (next?.state === 'queued' && !lane.isDoubtful && !lane.isReadBack(next)) this.#waitForPage(lane);
    this.dispatch();
  }

  #release({ shared }: Chunk): void {
    if (shared === undefined) return;
    shared.userCount--;
    if (shared.userCount === 0) this.#ports.arena.release(shared.stretch);
  }
}
