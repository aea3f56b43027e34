/**
 * The scratch a batch is decompressed into: reused from batch to batch, capped, and given back
 * when it had to grow for one huge batch and the ones after it were small.
 */

import { collectGarbage } from '../../give-back-memory.ts';

/** Room behind `length` that kernels copying four bytes at a time may scribble on. */
export const SLACK_BYTES = 8;

const FIRST_CAPACITY_BYTES = 256 * 1024;
/** Scratch up to this size is never given back. */
const RETAINED_BYTES = 4 * 1024 * 1024;
/** So many batches in a row must have needed less than a quarter before a huge scratch is given back. */
const QUIET_BATCHES = 2;

export class GrowableBuffer {
  /** Current memory; changes with `reserve`, `adopt` and `reset`. Content is `bytes[0, length)`. */
  bytes: Uint8Array;
  /** Over the same memory as `bytes`. */
  view: DataView;
  length = 0;
  /** `length` never passes it: the cap against decompression bombs. */
  readonly maxBytes: number;
  #own: Uint8Array;
  #quietCount = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
    this.#own = new Uint8Array(Math.min(FIRST_CAPACITY_BYTES, maxBytes) + SLACK_BYTES);
    this.bytes = this.#own;
    this.view = new DataView(this.#own.buffer);
  }

  get capacity(): number {
    return this.bytes.length;
  }

  /** Empties it. Views handed out before are void. */
  reset(): void {
    const capacity = this.#own.length;
    this.#quietCount = this.length * 4 < capacity ? this.#quietCount + 1 : 0;
    if (capacity > RETAINED_BYTES && this.#quietCount >= QUIET_BATCHES) {
      this.#own = new Uint8Array(RETAINED_BYTES);
      this.#quietCount = 0;
      this.#use(this.#own);
      // Memory outside V8's heap, of which V8 is in no hurry to get rid.
      collectGarbage();
    }
    this.length = 0;
    if (this.bytes.buffer !== this.#own.buffer) this.#use(this.#own);
  }

  /** Makes room for `extraBytes` more (and the slack); false when that would pass the cap. */
  reserve(extraBytes: number): boolean {
    const needed = this.length + extraBytes;
    if (needed > this.maxBytes) return false;
    if (needed + SLACK_BYTES <= this.bytes.length) return true;
    const doubled = Math.min(this.bytes.length * 2, this.maxBytes + SLACK_BYTES);
    const grown = new Uint8Array(Math.max(needed + SLACK_BYTES, doubled));
    grown.set(this.bytes.subarray(0, this.length));
    this.#own = grown;
    this.#use(grown);
    return true;
  }

  /** Adds `chunk`: taken over without a copy when it is the first. False when it would pass the cap. */
  append(chunk: Uint8Array): boolean {
    if (this.length > 0) {
      if (!this.reserve(chunk.length)) return false;
      this.bytes.set(chunk, this.length);
      this.length += chunk.length;
      return true;
    }
    if (chunk.length > this.maxBytes) return false;
    this.#use(chunk);
    this.length = chunk.length;
    return true;
  }

  #use(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}
