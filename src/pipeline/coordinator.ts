/**
 * Moves chunks of record batches from lanes through the parse pool to the writers and back into their lanes'
 * order. One owner of all lanes; no work per event.
 */
import { errorMessage } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Arena, Stretch } from './arena.ts';
import { type Chunk, type ChunkOutcome, type ChunkRefusal, Lane, type LaneSpec } from './lane.ts';
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

export interface NewChunk {
  readonly stretch: Stretch;
  readonly fromOffset: number;
  readonly toOffset: number;
  readonly receivedUs: number;
  readonly onStored?: (outcome: ChunkOutcome, toOffset: number) => void;
}

/** A chunk that killed this many workers is split, or refused when it is one record. */
const MAX_DEATHS = 2;
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
  #blockBytes = 0;
  #lastProgressMs: number;
  readonly totals = { receivedCount: 0, storedCount: 0, deadLetteredCount: 0, slowPathCount: 0 };

  constructor(ports: CoordinatorPorts) {
    this.#ports = ports;
    this.#lastProgressMs = ports.clock.now();
  }

  get lanes(): Iterable<Lane> {
    return this.#lanes;
  }

  /** Chunks taken from sources and not yet stored. */
  get inFlightCount(): number {
    let count = 0;
    for (const lane of this.#lanes) count += lane.chunks.length;
    return count;
  }

  get blockBytes(): number {
    return this.#blockBytes;
  }

  /** True while parsed blocks may still come without new input. */
  get isParsing(): boolean {
    return this.#parsingCount > 0 || this.#queue.length > 0;
  }

  /** Milliseconds since a chunk was last stored while some are in flight; 0 when nothing is in flight. */
  get stalledMs(): number {
    return this.inFlightCount === 0 ? 0 : this.#ports.clock.now() - this.#lastProgressMs;
  }

  openLane(spec: LaneSpec): Lane {
    const lane = new Lane(spec);
    this.#lanes.add(lane);
    return lane;
  }

  closeLane(lane: Lane): void {
    lane.close();
    this.#lanes.delete(lane);
    for (const chunk of lane.chunks) {
      if (chunk.state !== 'parsing') this.#release(chunk);
      this.#forgetBlocks(chunk);
    }
    for (let i = this.#queue.length - 1; i >= 0; i--) {
      if (this.#queue[i]?.lane === lane) this.#queue.splice(i, 1);
    }
  }

  submit(lane: Lane, { stretch, ...offsets }: NewChunk): void {
    if (this.inFlightCount === 0) this.#lastProgressMs = this.#ports.clock.now();
    const chunk: Chunk = {
      ...offsets,
      shared: { stretch, userCount: 1 },
      state: 'queued',
      deathCount: 0,
      openBlockCount: 0,
    };
    if (lane.isClosed) return this.#release(chunk);
    lane.push(chunk);
    this.#queue.push({ lane, chunk });
    this.#dispatch();
  }

  #dispatch(): void {
    const { pool, maxBlockBytes } = this.#ports;
    while (
      this.#queue.length > 0 &&
      this.#parsingCount < pool.workerCount * TASKS_PER_WORKER &&
      this.#blockBytes < maxBlockBytes
    ) {
      const next = this.#queue.shift();
      if (next !== undefined) void this.#parse(next.lane, next.chunk);
    }
  }

  async #parse(lane: Lane, chunk: Chunk): Promise<void> {
    this.#parsingCount++;
    chunk.state = 'parsing';
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
      this.#dispatch();
    }
  }

  #parsed(lane: Lane, chunk: Chunk, result: ParseResult): void {
    if (lane.isClosed) return this.#release(chunk);
    chunk.state = 'parsed';
    chunk.blocks = { logs: result.logs, deadLetters: result.deadLetters };
    chunk.outcome = {
      receivedCount: result.receivedCount,
      storedCount: result.logs.reduce((sum, block) => sum + block.rowCount, 0),
      filtered: result.filtered,
      deadLettered: result.deadLettered,
      deadLetterOffsets: result.deadLetterOffsets,
      deadLetterNotes: result.deadLetterNotes,
    };
    for (const block of allBlocks(chunk)) this.#blockBytes += block.bytes.byteLength;
    this.totals.slowPathCount += result.slowPathCount;
    if (result.slowPathCount > 0) this.#ports.telemetry.emit('slow_path', {}, result.slowPathCount);
    for (const writable of lane.takeWritable()) this.#write(lane, writable);
  }

  #died(lane: Lane, chunk: Chunk, error: unknown): void {
    this.#ports.telemetry.emit('worker_died', {
      lane: `${lane.spec.name}/${lane.spec.partition}`,
      fromOffset: chunk.fromOffset,
      error: errorMessage(error),
    });
    if (lane.isClosed) return this.#release(chunk);
    chunk.deathCount++;
    if (chunk.deathCount < MAX_DEATHS) this.#requeue(lane, [chunk]);
    else this.#split(lane, chunk, { reason: 'poison_record', detail: errorMessage(error) });
  }

  /** Bisects a chunk that cannot be handled as a whole, down to the record that becomes a dead letter. */
  #split(lane: Lane, chunk: Chunk, refusal: ChunkRefusal): void {
    if (chunk.refusal !== undefined) return this.#retryLater(lane, chunk);
    const middle = Math.floor((chunk.fromOffset + chunk.toOffset) / 2);
    const fresh = { ...chunk, deathCount: 0, openBlockCount: 0 };
    const parts: Chunk[] =
      middle === chunk.fromOffset
        ? [{ ...fresh, refusal }]
        : [
            { ...fresh, toOffset: middle },
            { ...fresh, fromOffset: middle },
          ];
    chunk.shared.userCount += parts.length - 1;
    lane.replace(chunk, parts);
    this.#requeue(lane, parts);
  }

  /** Not even the dead letter could be stored: the lane stands still, by name, and tries again. */
  #retryLater(lane: Lane, chunk: Chunk): void {
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
        this.#forgetBlocks(chunk);
        chunk.state = 'queued';
        this.#split(lane, chunk, { reason: 'insert_refused', detail: error.message });
      },
    };
  }

  #stored(lane: Lane, chunk: Chunk): void {
    chunk.state = 'stored';
    this.#forgetBlocks(chunk);
    this.#lastProgressMs = this.#ports.clock.now();
    for (const done of lane.takeStored()) {
      this.#release(done);
      if (done.outcome !== undefined) this.#count(done.outcome);
      if (done.outcome !== undefined) done.onStored?.(done.outcome, done.toOffset);
    }
    this.#dispatch();
  }

  #count(outcome: ChunkOutcome): void {
    const { telemetry } = this.#ports;
    this.totals.receivedCount += outcome.receivedCount;
    this.totals.storedCount += outcome.storedCount;
    telemetry.emit('records_received', {}, outcome.receivedCount);
    telemetry.emit('records_stored', {}, outcome.storedCount);
    for (const [reason, count] of Object.entries(outcome.filtered)) {
      telemetry.emit('records_filtered', { reason }, count);
    }
    for (const [reason, count] of Object.entries(outcome.deadLettered)) {
      this.totals.deadLetteredCount += count;
      telemetry.emit('records_dead_lettered', { reason }, count);
    }
  }

  #forgetBlocks(chunk: Chunk): void {
    for (const block of allBlocks(chunk)) this.#blockBytes -= block.bytes.byteLength;
    chunk.blocks = undefined;
  }

  #release(chunk: Chunk): void {
    chunk.shared.userCount--;
    if (chunk.shared.userCount === 0) this.#ports.arena.release(chunk.shared.stretch);
  }
}

function allBlocks(chunk: Chunk): readonly Block[] {
  return chunk.blocks === undefined ? [] : [...chunk.blocks.logs, ...chunk.blocks.deadLetters];
}
