/**
 * Packs records of direct sources as Kafka RecordBatches v2, not compressed: the one layout that parse workers read.
 * Several batches may be built one behind the other in the same memory. Bench: bench/codecs.ts.
 */
import { crc32cOf } from '../parse/crc32c.ts';
import { BATCH_MAGIC, BatchLayout, LENGTH_PREFIX_BYTES, writeInt64 } from '../parse/record-batch-header.ts';

const FIRST_CAPACITY_BYTES = 64 * 1024;
/** Memory above this is given back by `reset`. */
const RETAINED_BYTES = 16 * 1024 * 1024;
/** Below it a byte loop beats the native copy. */
const BULK_BYTES = 24;
/** Length, attributes, timestamp delta, offset delta, key, value length and header count at their longest. */
const MAX_RECORD_OVERHEAD_BYTES = 5 + 1 + 1 + 5 + 1 + 5 + 1;

/**
 * `reset(…)`, `append(…)` per record, `finish(…)`; `begin(…)` starts a further batch behind the finished one.
 * Views handed out hold until the next call of any method.
 */
export class RecordBatchBuilder {
  /** Records of the batch being built. */
  recordCount = 0;
  #bytes = new Uint8Array(FIRST_CAPACITY_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #batchStart = 0;
  #pos: number = BatchLayout.records;
  #timestampMs = 0;

  /** Forgets everything and begins a batch whose records all have this time. */
  reset(baseTimestampMs: number): void {
    if (this.#bytes.length > RETAINED_BYTES) this.#use(new Uint8Array(FIRST_CAPACITY_BYTES));
    this.#batchStart = 0;
    this.begin(baseTimestampMs);
  }

  /** Begins a batch behind what was finished before; one begun and not finished is dropped. */
  begin(baseTimestampMs: number): void {
    this.#pos = this.#batchStart + BatchLayout.records;
    this.#timestampMs = baseTimestampMs;
    this.recordCount = 0;
  }

  /** Adds a record without key and headers whose value is `source[start, end)`. */
  append(source: Uint8Array, start: number, end: number): void {
    const valueBytes = end - start;
    if (this.#pos + valueBytes + MAX_RECORD_OVERHEAD_BYTES > this.#bytes.length) {
      this.#grow(valueBytes + MAX_RECORD_OVERHEAD_BYTES);
    }
    const offsetDelta = this.recordCount;
    const bytes = this.#bytes;
    const body = 4 + unsignedVarintBytes(offsetDelta * 2) + unsignedVarintBytes(valueBytes * 2) + valueBytes;
    let pos = writeVarint(bytes, this.#pos, body);
    // Attributes and timestamp delta are zero; a key length of -1 is the zigzag varint 1.
    bytes[pos++] = 0;
    bytes[pos++] = 0;
    pos = writeVarint(bytes, pos, offsetDelta);
    bytes[pos++] = 1;
    pos = writeVarint(bytes, pos, valueBytes);
    if (valueBytes >= BULK_BYTES) bytes.set(source.subarray(start, end), pos);
    else for (let index = 0; index < valueBytes; index++) bytes[pos + index] = source[start + index] ?? 0;
    pos += valueBytes;
    bytes[pos++] = 0;
    this.#pos = pos;
    this.recordCount += 1;
  }

  /** Completes the batch (header and checksum) and sets `recordCount` back. Without records it gives no bytes. */
  finish(baseOffset: number): Uint8Array {
    const start = this.#batchStart;
    const end = this.#pos;
    if (this.recordCount === 0) return this.#bytes.subarray(start, start);
    const view = this.#view;
    writeInt64(view, start + BatchLayout.baseOffset, baseOffset);
    view.setInt32(start + BatchLayout.batchLength, end - start - LENGTH_PREFIX_BYTES);
    view.setInt32(start + BatchLayout.partitionLeaderEpoch, -1);
    view.setInt8(start + BatchLayout.magic, BATCH_MAGIC);
    view.setInt16(start + BatchLayout.attributes, 0);
    view.setInt32(start + BatchLayout.lastOffsetDelta, this.recordCount - 1);
    writeInt64(view, start + BatchLayout.baseTimestamp, this.#timestampMs);
    writeInt64(view, start + BatchLayout.maxTimestamp, this.#timestampMs);
    // No idempotent producer stands behind it.
    writeInt64(view, start + BatchLayout.producerId, -1);
    view.setInt16(start + BatchLayout.producerEpoch, -1);
    view.setInt32(start + BatchLayout.baseSequence, -1);
    view.setInt32(start + BatchLayout.recordsCount, this.recordCount);
    view.setUint32(start + BatchLayout.crc, crc32cOf(this.#bytes, start + BatchLayout.attributes, end));
    this.recordCount = 0;
    this.#batchStart = end;
    return this.#bytes.subarray(start, end);
  }

  /** Bytes of the batches finished since `reset`. */
  get finishedBytes(): number {
    return this.#batchStart;
  }

  /** Forgets the batches behind the first `finishedBytes` bytes, and the one being built. */
  truncate(finishedBytes: number): void {
    this.#batchStart = finishedBytes;
    this.begin(this.#timestampMs);
  }

  /** A copy of all finished batches, in memory of its own that may be moved to another thread. */
  takeFinished(): ArrayBuffer {
    return this.#bytes.buffer.slice(0, this.#batchStart);
  }

  #grow(extraBytes: number): void {
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#pos + extraBytes));
    grown.set(this.#bytes.subarray(0, this.#pos));
    this.#use(grown);
  }

  #use(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

/** Gives the batch at `start` another base offset; its checksum does not cover it. */
export function patchBaseOffset(bytes: Uint8Array, start: number, offset: number): void {
  writeInt64(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), start, offset);
}

/** Bytes of an unsigned varint; the zigzag form of `n ≥ 0` is `2 n`. */
function unsignedVarintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}

/** Writes the zigzag varint of a number from 0 to 2^31 - 1; gives the position behind it. */
function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = (value << 1) >>> 0;
  let pos = at;
  while (rest >= 0x80) {
    bytes[pos++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[pos++] = rest;
  return pos;
}
