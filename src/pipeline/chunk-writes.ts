/**
 * Hands the blocks of parsed chunks to the writers, in their lane's order, and learns what became of them.
 */
import type { MillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import { blockBytesOf, type Chunk, type ChunkOutcome } from './chunk.ts';
import type { Lane } from './lane.ts';
import type { Block, ParseResult } from './parse-protocol.ts';
import type { BlockTable } from './ports.ts';
import type { StoredFeed } from './stored-feed.ts';
import type { WriteRequest, Writer } from './writer.ts';

export type Writers = Readonly<Record<BlockTable, Writer>>;

export interface ChunkWritesPorts {
  readonly feed: StoredFeed;
  /** All rows of the chunk are stored. */
  readonly onStored: (lane: Lane, chunk: Chunk) => void;
  /** An insert with rows of the lane failed; `mayHurry`: it will be sent differently. */
  readonly onDoubt: (lane: Lane, error: MillraceError, mayHurry: boolean) => void;
}

export class ChunkWrites {
  readonly #writers: Writers;
  readonly #telemetry: Telemetry;
  readonly #ports: ChunkWritesPorts;
  /** Bytes of parsed blocks that wait for their turn in their lane. */
  #waitingBytes = 0;

  constructor(writers: Writers, telemetry: Telemetry, ports: ChunkWritesPorts) {
    this.#writers = writers;
    this.#telemetry = telemetry;
    this.#ports = ports;
  }

  /** Bytes of blocks from parsing until they are stored. */
  get heldBytes(): number {
    return this.#waitingBytes + this.#writers.logs.heldBytes + this.#writers.dead_letters.heldBytes;
  }

  isSending(lane: Lane): boolean {
    return this.#writers.logs.isSending(lane) || this.#writers.dead_letters.isSending(lane);
  }

  /** The chunk is parsed: its blocks go to the writers when those before it in the lane have gone. */
  keep(lane: Lane, chunk: Chunk, result: ParseResult): void {
    chunk.state = 'parsed';
    chunk.blocks = { logs: result.logs, deadLetters: result.deadLetters };
    chunk.outcome = outcomeOf(result);
    this.#waitingBytes += blockBytesOf(chunk);
    for (const writable of lane.takeWritable()) this.#write(lane, writable);
  }

  /** Nothing more of the lane is sent; what is under way is not called back. */
  drop(lane: Lane): void {
    for (const chunk of lane.chunks) {
      if (chunk.state === 'parsed') this.#forgetBlocks(chunk);
      if (chunk.state !== 'stored' || lane.isClosed) this.#ports.feed.release(chunk);
    }
    for (const writer of Object.values(this.#writers)) writer.dropVoid();
  }

  #write(lane: Lane, chunk: Chunk): void {
    const blocks = chunk.blocks ?? { logs: [], deadLetters: [] };
    this.#forgetBlocks(chunk);
    chunk.state = 'writing';
    this.#ports.feed.writing(
      chunk,
      blocks.logs.map(({ bytes }) => bytes),
    );
    chunk.openBlockCount = blocks.logs.length + blocks.deadLetters.length;
    if (chunk.openBlockCount === 0) return this.#ports.onStored(lane, chunk);
    const { logs, dead_letters: deadLetters } = this.#writers;
    for (const block of blocks.logs) logs.append(this.#request(lane, chunk, block));
    for (const block of blocks.deadLetters) deadLetters.append(this.#request(lane, chunk, block));
  }

  #request(lane: Lane, chunk: Chunk, block: Block): WriteRequest {
    return {
      block,
      owner: lane,
      token: lane.token,
      isAlone: chunk.isAlone,
      isVoid: () => lane.isClosed || lane.isDoubtful || chunk.state !== 'writing',
      onStored: () => {
        if (lane.isClosed || chunk.state !== 'writing') return;
        chunk.openBlockCount--;
        if (chunk.openBlockCount === 0) this.#ports.onStored(lane, chunk);
      },
      onFailed: (error) => {
        if (!lane.isClosed) this.#failed(lane, chunk, error);
      },
    };
  }

  #failed(lane: Lane, chunk: Chunk, error: MillraceError): void {
    const isRefused = !error.isRetryable;
    if (isRefused) {
      this.#telemetry.emit('insert_refused', { error: error.message });
      if (chunk.isAlone) chunk.refusedAlone = error.message;
      chunk.isAlone = true;
    }
    // A letter that is refused cannot be sent in any other way.
    this.#ports.onDoubt(lane, error, isRefused && chunk.refusal === undefined);
  }

  #forgetBlocks(chunk: Chunk): void {
    this.#waitingBytes -= blockBytesOf(chunk);
    chunk.blocks = undefined;
  }
}

function outcomeOf(result: ParseResult): ChunkOutcome {
  const { receivedCount, alreadyPresentCount, filtered, deadLettered } = result;
  return {
    receivedCount,
    alreadyPresentCount,
    filtered,
    deadLettered,
    storedCount: result.logs.reduce((sum, block) => sum + block.rowCount, 0),
    lostUpstreamCount: 0,
    deadLetterOffsets: result.deadLetterOffsets,
    deadLetterNotes: result.deadLetterNotes,
  };
}
