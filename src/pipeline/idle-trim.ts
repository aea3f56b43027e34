/**
 * Gives memory back once the pipeline has been idle for a while: garbage of the main thread and of the workers, and
 * what the workers keep from task to task.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { releaseFreedMemory, shrinkHeap } from '../give-back-memory.ts';
import type { ParsePool } from './parse-pool.ts';

export interface IdleTrimPorts {
  readonly pool: Pick<ParsePool, 'trim'>;
  /** A number that grows with all that is done. */
  readonly doneCount: () => number;
  readonly isIdle: () => boolean;
}

const LOOK_INTERVAL_MS = 5000;
/** Looks in a row that find it idle after which it is trimmed. Much of what the first frees is freed only after it. */
const TRIM_LOOKS = [2, 4];
const FREED_MS = 200;

/** Twice per idle time: a trim costs a full collection in each thread. */
export class IdleTrim {
  readonly #ports: IdleTrimPorts;
  #timer: NodeJS.Timeout | undefined;
  #doneCount = 0;
  #idleLookCount = 0;

  constructor(ports: IdleTrimPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** What the timer does; for tests. */
  look(): void {
    const { pool, doneCount, isIdle } = this.#ports;
    const count = doneCount();
    if (count !== this.#doneCount || !isIdle()) {
      this.#doneCount = count;
      this.#idleLookCount = 0;
      return;
    }
    this.#idleLookCount += 1;
    if (TRIM_LOOKS.includes(this.#idleLookCount)) giveBack(pool).catch(() => undefined);
  }
}

async function giveBack(pool: Pick<ParsePool, 'trim'>): Promise<void> {
  // A worker that dies of it is replaced like any other.
  await Promise.all([pool.trim().catch(() => undefined), shrinkHeap()]);
  // V8 frees what is outside its heap a little later, on a thread of its own.
  await delay(FREED_MS);
  await releaseFreedMemory();
}
