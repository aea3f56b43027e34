/**
 * Moves chunks of record batches from lanes through the parse pool to the writers and back into their lanes'
 * order. One owner of all lanes; no work per event.
 */
import { errorMessage } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Arena } from './arena.ts';
import {
  blockBytesOf,
  type Chunk,
  type ChunkOutcome,
  type ChunkRefusal,
  createChunk,
  type NewChunk,
  refuseChunk,
  splitChunk,
} from './chunk.ts';
import { Lane, type LaneSpec } from './lane.ts';
import type { ParsePool } from './parse-pool.ts';
import { TASKS_PER_WORKER } from './parse-pool.ts';
import type { Block, ParseResult } from './parse-protocol.ts';
import type { BlockTable, Clock } from './ports.ts';
import type { Writer } from './writer.ts';

export interface CoordinatorPorts {
  readonly arena: Arena;
  readonly pool: ParsePool;
  readonly writers: Readonly<Record<BlockTable, Writer>>;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  /** Bytes of blocks that may wait for ClickHouse before no more is parsed. */
  readonly maxBlockBytes: number;
}

const RETRY_REFUSED_MS = 5000;

/**
 * Modes: chunks are dispatched in the order of their arrival while the pool has room and fewer than
 * `maxBlockBytes` of blocks wait; otherwise they stay in `#queue`, bounded by the arena. `closeLane` voids
 * what a lane has in flight; results for it are thrown away and its memory is released.
 */
export class Coordinator {
  readonly #ports: CoordinatorPorts;
  readonly #lanes = new Set<Lane>();
  readonly #queue: { readonly lane: Lane; readonly chunk: Chunk }[] = [];
  #parsingCount = 0;
  /** Bytes of parsed blocks that wait for their turn in their lane. */
  #parsedBytes = 0;
  /** Set while a suspect is parsed, alone. */
  #isAlone = false;
  readonly totals = { receivedCount: 0, storedCount: 0, deadLetteredCount: 0, slowPathCount: 0 };

  constructor(ports: CoordinatorPorts) {
    this.#ports = ports;
  }

  get lanes(): Iterable<Lane> {
    return this.#lanes;
  }

  /** Chunks taken from sources and not yet stored. */
  get inFlightCount(): number {
    return [...this.#lanes].reduce((count, lane) => count + lane.chunks.length, 0);
  }

  get blockBytes(): number {
    const { logs, dead_letters: deadLetters } = this.#ports.writers;
    return this.#parsedBytes + logs.heldBytes + deadLetters.heldBytes;
  }

  /** True while parsed blocks may still come without new input. */
  get isParsing(): boolean {
    return this.#parsingCount > 0 || this.#queue.length > 0;
  }

  /** The lane that has waited longest for its next chunk to be stored; undefined when nothing is in flight. */
  get slowestLane(): { readonly lane: Lane; readonly stalledMs: number } | undefined {
    let slowest: Lane | undefined;
    for (const lane of this.#lanes) {
      if (lane.chunks.length === 0) continue;
      if (slowest === undefined || lane.lastProgressMs < slowest.lastProgressMs) slowest = lane;
    }
    if (slowest === undefined) return undefined;
    return { lane: slowest, stalledMs: this.#ports.clock.now() - slowest.lastProgressMs };
  }

  openLane(spec: LaneSpec): Lane {
    const lane = new Lane(spec);
    this.#lanes.add(lane);
    return lane;
  }

  /** The lane gets nothing more; it closes once what it has is stored. */
  retireLane(lane: Lane): void {
    lane.isRetired = true;
    if (lane.chunks.length === 0) this.closeLane(lane);
  }

  closeLane(lane: Lane): void {
    lane.close();
    this.#lanes.delete(lane);
    for (const chunk of lane.chunks) {
      if (chunk.state !== 'parsing') this.#release(chunk);
      if (chunk.state === 'parsed') this.#forgetBlocks(chunk);
    }
    for (const writer of Object.values(this.#ports.writers)) writer.dropVoid();
    for (let i = this.#queue.length - 1; i >= 0; i--) {
      if (this.#queue[i]?.lane === lane) this.#queue.splice(i, 1);
    }
  }

  submit(lane: Lane, work: NewChunk): void {
    const chunk = createChunk(work);
    if (lane.chunks.length === 0) lane.lastProgressMs = this.#ports.clock.now();
    if (lane.isClosed) return this.#release(chunk);
    lane.push(chunk);
    this.#queue.push({ lane, chunk });
    this.#dispatch();
  }

  #dispatch(): void {
    for (let next = this.#queue[0]; next !== undefined && this.#mayParse(next); next = this.#queue[0]) {
      this.#queue.shift();
      void this.#parse(next.lane, next.chunk);
    }
  }

  /** The head of a lane passes even when blocks fill their share: those behind it may be what fills it. */
  #mayParse({ lane, chunk }: { readonly lane: Lane; readonly chunk: Chunk }): boolean {
    const { pool, maxBlockBytes } = this.#ports;
    if (this.#isAlone || this.#parsingCount >= pool.workerCount * TASKS_PER_WORKER) return false;
    if (chunk.isSuspect && this.#parsingCount > 0) return false;
    return this.blockBytes < maxBlockBytes || lane.chunks[0] === chunk;
  }

  async #parse(lane: Lane, chunk: Chunk): Promise<void> {
    this.#parsingCount++;
    chunk.state = 'parsing';
    const isAlone = chunk.isSuspect;
    this.#isAlone = isAlone;
    const { stretch } = chunk.shared;
    try {
      const result = await this.#ports.pool.parse({
        kind: 'parse',
        memory: stretch.memory,
        start: stretch.start,
        length: stretch.length,
        source: lane.spec.source,
        partition: lane.spec.partition,
        firstOffset: chunk.fromOffset,
        endOffset: chunk.toOffset,
        receivedUs: chunk.receivedUs,
        ...(chunk.refusal === undefined ? {} : { refusal: chunk.refusal }),
      });
      this.#parsed(lane, chunk, result);
    } catch (error) {
      this.#died(lane, chunk, error);
    } finally {
      this.#parsingCount--;
      if (isAlone) this.#isAlone = false;
      this.#dispatch();
    }
  }

  #parsed(lane: Lane, chunk: Chunk, result: ParseResult): void {
    if (lane.isClosed) return this.#release(chunk);
    if (result.reachedOffset < chunk.toOffset) {
      const [done, rest] = splitChunk(chunk, result.reachedOffset);
      lane.replace(chunk, [done, rest]);
      this.#requeue(lane, [rest]);
      return this.#keep(lane, done, result);
    }
    this.#keep(lane, chunk, result);
  }

  #keep(lane: Lane, chunk: Chunk, result: ParseResult): void {
    chunk.state = 'parsed';
    chunk.isSuspect = false;
    chunk.blocks = { logs: result.logs, deadLetters: result.deadLetters };
    chunk.outcome = {
      receivedCount: result.receivedCount,
      storedCount: result.logs.reduce((sum, block) => sum + block.rowCount, 0),
      filtered: result.filtered,
      deadLettered: result.deadLettered,
      deadLetterOffsets: result.deadLetterOffsets,
      deadLetterNotes: result.deadLetterNotes,
    };
    this.#parsedBytes += blockBytesOf(chunk);
    this.totals.slowPathCount += result.slowPathCount;
    if (result.slowPathCount > 0) this.#ports.telemetry.emit('slow_path', {}, result.slowPathCount);
    for (const writable of lane.takeWritable()) this.#write(lane, writable);
  }

  #died(lane: Lane, chunk: Chunk, error: unknown): void {
    if (lane.isClosed) return this.#release(chunk);
    this.#ports.telemetry.emit('worker_died', {
      lane: `${lane.spec.name}/${lane.spec.partition}`,
      fromOffset: chunk.fromOffset,
      error: errorMessage(error),
    });
    if (!chunk.isSuspect) {
      // Another chunk may have ended the worker: alone it will show.
      chunk.isSuspect = true;
      this.#requeue(lane, [chunk]);
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
    this.#requeue(lane, parts);
  }

  /** Not even the dead letter could be stored: the lane stands still, which `no_progress` names, and tries again. */
  #retryLater(lane: Lane, chunk: Chunk): void {
    chunk.state = 'queued';
    setTimeout(() => {
      if (!lane.isClosed) this.#requeue(lane, [chunk]);
    }, RETRY_REFUSED_MS).unref();
  }

  #requeue(lane: Lane, chunks: readonly Chunk[]): void {
    for (const chunk of chunks) chunk.state = 'queued';
    this.#queue.unshift(...chunks.map((chunk) => ({ lane, chunk })));
    this.#dispatch();
  }

  #write(lane: Lane, chunk: Chunk): void {
    const { writers } = this.#ports;
    const blocks = chunk.blocks ?? { logs: [], deadLetters: [] };
    this.#forgetBlocks(chunk);
    chunk.state = 'writing';
    chunk.openBlockCount = blocks.logs.length + blocks.deadLetters.length;
    if (chunk.openBlockCount === 0) return this.#stored(lane, chunk);
    for (const block of blocks.logs) writers.logs.append(this.#writeRequest(lane, chunk, block));
    for (const block of blocks.deadLetters)
      writers.dead_letters.append(this.#writeRequest(lane, chunk, block));
  }

  #writeRequest(lane: Lane, chunk: Chunk, block: Block) {
    return {
      block,
      isVoid: () => lane.isClosed || chunk.state !== 'writing',
      onStored: () => {
        if (lane.isClosed || chunk.state !== 'writing') return;
        chunk.openBlockCount--;
        if (chunk.openBlockCount === 0) this.#stored(lane, chunk);
      },
      onRefused: (error: Error) => {
        if (lane.isClosed || chunk.state !== 'writing') return;
        if (chunk.refusal !== undefined) return this.#retryLater(lane, chunk);
        // Voids its other blocks that were not sent yet: the halves bring their rows again.
        chunk.state = 'queued';
        this.#refuse(lane, chunk, { reason: 'insert_refused', detail: error.message });
      },
    };
  }

  #stored(lane: Lane, chunk: Chunk): void {
    chunk.state = 'stored';
    for (const done of lane.takeStored()) {
      lane.lastProgressMs = this.#ports.clock.now();
      this.#release(done);
      if (done.outcome === undefined) continue;
      this.#count(done.outcome);
      done.onStored?.(done.outcome, done.toOffset);
    }
    if (lane.isRetired && lane.chunks.length === 0) this.closeLane(lane);
    this.#dispatch();
  }

  #count(outcome: ChunkOutcome): void {
    const { telemetry } = this.#ports;
    this.totals.receivedCount += outcome.receivedCount;
    this.totals.storedCount += outcome.storedCount;
    telemetry.emit('records_received', {}, outcome.receivedCount);
    telemetry.emit('records_stored', {}, outcome.storedCount);
    for (const [reason, count] of Object.entries(outcome.filtered))
      telemetry.emit('records_filtered', { reason }, count);
    for (const [reason, count] of Object.entries(outcome.deadLettered)) {
      this.totals.deadLetteredCount += count;
      telemetry.emit('records_dead_lettered', { reason }, count);
    }
  }

  #forgetBlocks(chunk: Chunk): void {
    this.#parsedBytes -= blockBytesOf(chunk);
    chunk.blocks = undefined;
  }

  #release(chunk: Chunk): void {
    chunk.shared.userCount--;
    if (chunk.shared.userCount === 0) this.#ports.arena.release(chunk.shared.stretch);
  }
}
