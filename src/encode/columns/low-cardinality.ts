/**
 * LowCardinality(String): a dictionary of the block and one index per row.
 * Native layout: UInt64 version (written as the column's prefix), then UInt64 flags (index width, own keys,
 * no shared dictionary), dictionary, row count, indexes of 1, 2 or 4 bytes.
 */

import { copyBytes, focus } from '../bytes.ts';
import type { ColumnBuilder, NativeWriter } from './column.ts';
import { ByteDictionary, grownWords } from './dictionary.ts';

/** Prefix that stands before the data of every LowCardinality, nested ones included. */
export const LOW_CARDINALITY_PREFIX_BYTES = 8;
const VERSION_WITH_ADDITIONAL_KEYS = 1;
const FLAGS_OWN_KEYS = 0x600;

export function writeLowCardinalityPrefix(writer: NativeWriter): void {
  writer.uint64(VERSION_WITH_ADDITIONAL_KEYS);
}

/** Dictionary indexes of any number of values; the part that maps and arrays nest. */
export class LowCardinalityValues {
  readonly dictionary = new ByteDictionary();
  count = 0;
  indexes = new Uint32Array(1024);
  #markCount = 0;
  #markEntries = 1;

  /** Marks where a row begins, for `rewind`. */
  mark(): void {
    this.#markCount = this.count;
    this.#markEntries = this.dictionary.count;
  }

  /** Forgets the values and dictionary entries that came after the mark. */
  rewind(): void {
    this.count = this.#markCount;
    this.dictionary.truncate(this.#markEntries);
  }

  push(index: number): void {
    if (this.count === this.indexes.length) this.indexes = grownWords(this.indexes);
    this.indexes[this.count] = index;
    this.count += 1;
  }

  /** Size without prefix; nothing at all when there are no values. */
  byteSize(count: number): number {
    if (count === 0) return 0;
    return 24 + this.dictionary.native.length + count * this.#indexBytes();
  }

  write(writer: NativeWriter, count: number): void {
    if (count === 0) return;
    const { dictionary } = this;
    const width = this.#indexBytes();
    writer.uint64(FLAGS_OWN_KEYS | (width >> 1));
    writer.uint64(dictionary.count);
    writer.raw(dictionary.native.bytes, dictionary.native.length);
    writer.uint64(count);
    const rows = Math.min(count, this.indexes.length);
    writeIndexes(writer, this.indexes.subarray(0, rows), width);
    writer.zeros((count - rows) * width);
  }

  reset(): void {
    this.dictionary.reset();
    this.count = 0;
    this.mark();
  }

  /** 1, 2 or 4: its half is the flag for UInt8, UInt16, UInt32. */
  #indexBytes(): number {
    if (this.dictionary.count <= 0x100) return 1;
    return this.dictionary.count <= 0x1_0000 ? 2 : 4;
  }
}

function writeIndexes(writer: NativeWriter, indexes: Uint32Array, width: number): void {
  const { bytes } = writer;
  let { at } = writer;
  if (width === 1) {
    bytes.set(indexes, at);
    writer.at = at + indexes.length;
    return;
  }
  for (let row = 0; row < indexes.length; row += 1) {
    const index = indexes[row] as number;
    bytes[at] = index;
    bytes[at + 1] = index >>> 8;
    if (width === 4) {
      bytes[at + 2] = index >>> 16;
      bytes[at + 3] = index >>> 24;
    }
    at += width;
  }
  writer.at = at;
}

const TOKEN_BYTES = 8;
const TOKEN_SLOTS = 64;
const QUOTE = 0x22;

function tokenSlot(first: number, second: number): number {
  return Math.imul(first ^ Math.imul(second, 0x85ebca6b), 0x9e3779b1) >>> 26;
}

export class LowCardinalityColumn implements ColumnBuilder {
  readonly #values = new LowCardinalityValues();
  #used = 0;
  /** Dictionary size before the newest row that was set. */
  #mark = 1;
  /** Direct-mapped cache of values by their first eight bytes, quote and what follows included. */
  readonly #tokenWords = new Int32Array(TOKEN_SLOTS * 2);
  readonly #tokenIndexes = new Uint32Array(TOKEN_SLOTS);
  #generation = 0;

  get isAbsent(): boolean {
    return this.#used === 0;
  }

  get byteEstimate(): number {
    return this.#used * 4 + this.#values.dictionary.native.length;
  }

  // oxlint-disable-next-line max-params -- kernel, bench/parse-json.ts
  set(row: number, source: Uint8Array, start: number, end: number): void {
    const { dictionary } = this.#values;
    if (row >= this.#used) this.#mark = dictionary.count;
    this.#put(row, dictionary.intern(source, start, end));
  }

  /** Sets an index that this block's dictionary gave before. */
  setIndex(row: number, index: number): void {
    if (row >= this.#used) this.#mark = this.#values.dictionary.count;
    this.#put(row, index);
  }

  /**
   * Sets the row when the source in focus has, at `at` and followed by a quote, a value that `rememberToken`
   * was told of; position after the quote, -1 when it has not. Spares the search for the quote and the hash.
   */
  token(row: number, at: number, end: number): number {
    if (at + TOKEN_BYTES > end) return -1;
    if (this.#generation !== this.#values.dictionary.generation) return -1;
    const { view } = focus;
    const first = view.getInt32(at, true);
    const second = view.getInt32(at + 4, true);
    const slot = tokenSlot(first, second);
    const index = this.#tokenIndexes[slot] as number;
    if (index === 0 || this.#tokenWords[slot * 2] !== first || this.#tokenWords[slot * 2 + 1] !== second)
      return -1;
    const { dictionary } = this.#values;
    const valueEnd = at + dictionary.byteLengthOf(index);
    // A shorter value has its quote among the bytes that were compared.
    if (valueEnd >= at + TOKEN_BYTES) {
      if (valueEnd >= end || focus.source[valueEnd] !== QUOTE) return -1;
      if (!dictionary.native.equals(dictionary.startOf(index) + 4, focus.source, at + 4, valueEnd)) return -1;
    }
    if (row >= this.#used) this.#mark = dictionary.count;
    this.#put(row, index);
    return valueEnd + 1;
  }

  /** Remembers that the row's value stands at `at` of the source in focus with a quote behind it. */
  rememberToken(row: number, at: number): void {
    if (this.#generation !== this.#values.dictionary.generation) {
      this.#tokenIndexes.fill(0);
      this.#generation = this.#values.dictionary.generation;
    }
    if (at + TOKEN_BYTES > focus.source.length) return;
    const first = focus.view.getInt32(at, true);
    const second = focus.view.getInt32(at + 4, true);
    const slot = tokenSlot(first, second);
    this.#tokenWords[slot * 2] = first;
    this.#tokenWords[slot * 2 + 1] = second;
    this.#tokenIndexes[slot] = this.indexAt(row);
  }

  #put(row: number, index: number): void {
    while (row >= this.#values.indexes.length) this.#values.indexes = grownWords(this.#values.indexes);
    this.#values.indexes[row] = index;
    this.#used = row + 1;
  }

  /** 0 when the row has no value. */
  indexAt(row: number): number {
    return row < this.#used ? (this.#values.indexes[row] as number) : 0;
  }

  /** Copies the row's value to `target` at `at`; position behind it, -1 when it does not fit. */
  copyRow(row: number, target: Uint8Array, at: number): number {
    const { dictionary } = this.#values;
    const index = this.indexAt(row);
    if (index === 0) return at;
    const start = dictionary.startOf(index);
    return copyBytes(dictionary.native.bytes, start, start + dictionary.byteLengthOf(index), target, at);
  }

  clearRow(row: number): void {
    if (row >= this.#used) return;
    this.#values.indexes[row] = 0;
    this.#used = row;
    this.#values.dictionary.truncate(this.#mark);
  }

  byteSize(rowCount: number): number {
    return LOW_CARDINALITY_PREFIX_BYTES + this.#values.byteSize(rowCount);
  }

  write(writer: NativeWriter, rowCount: number): void {
    writeLowCardinalityPrefix(writer);
    this.#values.write(writer, rowCount);
  }

  reset(): void {
    this.#values.indexes.fill(0, 0, this.#used);
    this.#values.reset();
    this.#used = 0;
    this.#mark = 1;
  }
}
