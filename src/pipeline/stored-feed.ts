/**
 * Tells a follower what was stored, blocks included. Costs nothing while nobody follows.
 */
import type { Chunk } from './chunk.ts';
import type { Lane } from './lane.ts';
import type { Clock, LaneKey } from './ports.ts';
import type { StoredNews, StoredPort, StoredStretch } from './stored-port.ts';

/** News is gathered for so long. */
const GATHER_MS = 20;
const HEARTBEAT_MS = 1000;
/** Bytes of blocks that are kept for the follower or on the way to it; beyond it is told without blocks. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;

/**
 * Modes: `idle` and followed. A chunk keeps its blocks from when they go to the writer until all of it is stored. Lanes
 * whose offsets are not stored in their order (`isAdopted`) are left out: to the follower they are those of others.
 */
export class StoredFeed implements StoredPort {
  readonly #clock: Clock;
  readonly #lanes: Iterable<Lane>;
  #onNews: ((news: StoredNews) => void) | undefined;
  #stretches: StoredStretch[] = [];
  readonly #kept = new Map<Chunk, readonly ArrayBuffer[]>();
  #heldBytes = 0;
  #gathering: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(clock: Clock, lanes: Iterable<Lane>) {
    this.#clock = clock;
    this.#lanes = lanes;
  }

  follow(onNews: (news: StoredNews) => void): () => void {
    this.#end();
    this.#onNews = onNews;
    this.#tell();
    this.#heartbeat = setInterval(() => this.#tell(), HEARTBEAT_MS);
    this.#heartbeat.unref();
    return () => {
      if (this.#onNews === onNews) this.#end();
    };
  }

  taken(byteCount: number): void {
    this.#heldBytes = Math.max(0, this.#heldBytes - byteCount);
  }

  /** The blocks of the chunk go to the writer. */
  writing(chunk: Chunk, blocks: readonly ArrayBuffer[]): void {
    chunk.sentMs ??= this.#clock.now();
    this.release(chunk);
    if (this.#onNews === undefined) return;
    const byteCount = bytesOf(blocks);
    if (this.#heldBytes + byteCount > MAX_HELD_BYTES) return;
    this.#kept.set(chunk, blocks);
    this.#heldBytes += byteCount;
  }

  /** All of the chunk is stored, and everything before it in its lane. */
  stored({ spec }: Lane, chunk: Chunk): void {
    if (this.#onNews !== undefined && spec.isAdopted !== true) this.#add(spec, chunk);
    this.release(chunk);
  }

  /** The chunk is over and done with, whatever became of it. */
  release(chunk: Chunk): void {
    const blocks = this.#kept.get(chunk);
    if (blocks === undefined) return;
    this.#kept.delete(chunk);
    this.#heldBytes -= bytesOf(blocks);
  }

  #end(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    this.#onNews = undefined;
    this.#stretches = [];
    this.#kept.clear();
    this.#heldBytes = 0;
  }

  #add({ source, partition }: LaneKey, chunk: Chunk): void {
    const { fromOffset, toOffset, outcome } = chunk;
    const stretch = { source, partition, fromOffset, toOffset };
    // What a doubtful insert had stored already is in none of the blocks.
    const isWhole = outcome?.alreadyPresentCount === 0;
    const blocks = isWhole && outcome.storedCount === 0 ? [] : this.#kept.get(chunk);
    if (isWhole && blocks !== undefined) {
      // From here on the follower's to give back.
      this.#kept.delete(chunk);
      this.#stretches.push({ ...stretch, blocks });
    } else {
      this.#stretches.push(stretch);
    }
    this.#gathering ??= setTimeout(() => this.#tell(), GATHER_MS);
  }

  #tell(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    const stretches = this.#stretches;
    this.#stretches = [];
    const atMs = this.#clock.now();
    const lanes = [...this.#lanes].filter(({ spec }) => spec.isAdopted !== true);
    this.#onNews?.({
      stretches,
      lanes: lanes.map(({ spec: { source, partition }, storedOffset }) => ({
        source,
        partition,
        storedOffset,
      })),
      atMs,
      toldToMs: oldestSentMs(lanes) ?? atMs,
    });
  }
}

function bytesOf(blocks: readonly ArrayBuffer[]): number {
  return blocks.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** When the oldest rows were sent of which it is not known, or not yet told, that they are stored. */
function oldestSentMs(lanes: readonly Lane[]): number | undefined {
  let oldest: number | undefined;
  for (const lane of lanes) {
    for (const { sentMs } of lane.chunks) {
      if (sentMs !== undefined && (oldest === undefined || sentMs < oldest)) oldest = sentMs;
    }
  }
  return oldest;
}
