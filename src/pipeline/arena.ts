/**
 * The memory in which record batches wait: one SharedArrayBuffer cut into pages, allocated once.
 * Its free pages are the byte credit of the sources; coordinator and workers see the same bytes, so nothing
 * is copied between threads and a batch outlives the worker that died on it.
 */

const PAGE_BYTES = 64 * 1024;

/** Bytes [start, start + length) of `memory`, owned by whoever took them until released. */
export interface Stretch {
  readonly memory: SharedArrayBuffer;
  readonly start: number;
  readonly length: number;
}

/**
 * Page allocator with first-fit search: pages that were never needed take no memory. A stretch larger than half the arena gets memory of its own, one such
 * stretch at a time and only while the arena is at most half full, so that a huge batch passes and the bound holds.
 */
export class Arena {
  readonly #memory: SharedArrayBuffer;
  readonly #pages: Uint8Array;
  readonly #waiting = new Set<() => void>();
  #usedPageCount = 0;
  #oversized: Stretch | undefined;

  constructor(capacityBytes: number) {
    const pageCount = Math.max(16, Math.floor(capacityBytes / PAGE_BYTES));
    this.#memory = new SharedArrayBuffer(pageCount * PAGE_BYTES);
    this.#pages = new Uint8Array(pageCount);
  }

  get capacityBytes(): number {
    return this.#memory.byteLength;
  }

  get usedBytes(): number {
    return this.#usedPageCount * PAGE_BYTES + (this.#oversized?.length ?? 0);
  }

  /** Memory for `length` bytes, or undefined when there is no room now. */
  tryTake(length: number): Stretch | undefined {
    if (length > this.capacityBytes / 2) return this.#takeOversized(length);
    const needed = Math.max(1, Math.ceil(length / PAGE_BYTES));
    const first = this.#findRun(needed);
    if (first < 0) return undefined;
    this.#pages.fill(1, first, first + needed);
    this.#usedPageCount += needed;
    return { memory: this.#memory, start: first * PAGE_BYTES, length };
  }

  release(stretch: Stretch): void {
    if (stretch === this.#oversized) {
      this.#oversized = undefined;
    } else {
      const first = stretch.start / PAGE_BYTES;
      const count = Math.max(1, Math.ceil(stretch.length / PAGE_BYTES));
      this.#pages.fill(0, first, first + count);
      this.#usedPageCount -= count;
    }
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Resolves when something was released, or after `timeoutMs`. */
  async released(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      this.#waiting.add(wake);
    });
  }

  #takeOversized(length: number): Stretch | undefined {
    if (this.#oversized !== undefined || this.#usedPageCount * 2 > this.#pages.length) return undefined;
    this.#oversized = { memory: new SharedArrayBuffer(length), start: 0, length };
    return this.#oversized;
  }

  /** The first page of the lowest run of so many free ones, -1 without any. */
  #findRun(needed: number): number {
    let runLength = 0;
    for (let page = 0; page < this.#pages.length; page++) {
      runLength = this.#pages[page] === 0 ? runLength + 1 : 0;
      if (runLength === needed) return page - needed + 1;
    }
    return -1;
  }
}
