/**
 * Columns of fixed width, kept as the very words that Native carries (little-endian machine assumed, as V8's
 * typed arrays are on every platform Node 20 runs on). Zero is absent. Memory comes with the first value.
 */
import type { ColumnBuilder, NativeWriter } from './column.ts';

const FIRST_ROWS = 1024;
const TWO_32 = 0x1_0000_0000;
/** A power of two, so the product is exact and needs no division. */
const TWO_MINUS_32 = 1 / TWO_32;

type Words = Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

interface WordArray<T extends Words> {
  new (length: number): T;
  readonly BYTES_PER_ELEMENT: number;
}

/** Rows of `wordsPerRow` words of one typed array each. */
class WordColumn<T extends Words> implements ColumnBuilder {
  protected words: T;
  /** Rows for which there is room. */
  protected capacity = 0;
  /** One past the newest row that was set. */
  protected used = 0;
  readonly #array: WordArray<T>;
  readonly #wordsPerRow: number;

  constructor(array: WordArray<T>, wordsPerRow: number) {
    this.#array = array;
    this.#wordsPerRow = wordsPerRow;
    this.words = new array(0);
  }

  get isAbsent(): boolean {
    return this.used === 0;
  }

  get byteEstimate(): number {
    return this.used * this.#wordsPerRow * this.#array.BYTES_PER_ELEMENT;
  }

  /** Makes room for `row`. */
  protected grow(row: number): void {
    this.capacity = Math.max(FIRST_ROWS, this.capacity * 2, row + 1);
    const grown = new this.#array(this.capacity * this.#wordsPerRow);
    grown.set(this.words);
    this.words = grown;
  }

  clearRow(row: number): void {
    if (row >= this.used) return;
    this.words.fill(0, row * this.#wordsPerRow, (row + 1) * this.#wordsPerRow);
    this.used = row;
  }

  byteSize(rowCount: number): number {
    return rowCount * this.#wordsPerRow * this.#array.BYTES_PER_ELEMENT;
  }

  write(writer: NativeWriter, rowCount: number): void {
    const rows = Math.min(rowCount, this.capacity);
    const bytes = new Uint8Array(this.words.buffer, 0, this.byteSize(rows));
    writer.raw(bytes, bytes.length);
    writer.zeros(this.byteSize(rowCount - rows));
  }

  reset(): void {
    this.words.fill(0, 0, this.used * this.#wordsPerRow);
    this.used = 0;
  }
}

// Each width has setters of its own: shared ones would see several kinds of arrays and be slow for all.

/** UInt8. */
export class ByteColumn extends WordColumn<Uint8Array<ArrayBuffer>> {
  constructor() {
    super(Uint8Array, 1);
  }

  set(row: number, value: number): void {
    if (row >= this.capacity) this.grow(row);
    this.words[row] = value;
    this.used = row + 1;
  }

  get(row: number): number {
    return row < this.used ? (this.words[row] as number) : 0;
  }
}

/** UInt16 or UInt32, kept as the latter. */
export class UintColumn extends WordColumn<Uint32Array<ArrayBuffer>> {
  readonly #width: 2 | 4;

  constructor(width: 2 | 4) {
    super(Uint32Array, 1);
    this.#width = width;
  }

  set(row: number, value: number): void {
    if (row >= this.capacity) this.grow(row);
    this.words[row] = value;
    this.used = row + 1;
  }

  get(row: number): number {
    return row < this.used ? (this.words[row] as number) : 0;
  }

  override byteSize(rowCount: number): number {
    return rowCount * this.#width;
  }

  override write(writer: NativeWriter, rowCount: number): void {
    for (let row = 0; row < rowCount; row += 1) {
      const value = this.get(row);
      writer.uint16(value);
      if (this.#width === 4) writer.uint16(value >>> 16);
    }
  }
}

/** Float64. */
export class FloatColumn extends WordColumn<Float64Array<ArrayBuffer>> {
  constructor() {
    super(Float64Array, 1);
  }

  set(row: number, value: number): void {
    if (row >= this.capacity) this.grow(row);
    this.words[row] = value;
    this.used = row + 1;
  }
}

/** UInt64 and DateTime64 (ticks since the epoch, none negative). */
export class Uint64Column extends WordColumn<Uint32Array<ArrayBuffer>> {
  constructor() {
    super(Uint32Array, 2);
  }

  /** `value` below 2^53. */
  set(row: number, value: number): void {
    const high = (value * TWO_MINUS_32) >>> 0;
    this.setWords(row, value - high * TWO_32, high);
  }

  setWords(row: number, low: number, high: number): void {
    if (row >= this.capacity) this.grow(row);
    this.words[row * 2] = low;
    this.words[row * 2 + 1] = high;
    this.used = row + 1;
  }
}

/** IPv6, 16 bytes a row in network order; IPv4 is mapped (::ffff:a.b.c.d) and `::` is absent. */
export class IpColumn extends WordColumn<Uint8Array<ArrayBuffer>> {
  constructor() {
    super(Uint8Array, 16);
  }

  set(row: number, address: Uint8Array): void {
    if (row >= this.capacity) this.grow(row);
    const { words } = this;
    for (let from = 0, to = row * 16; from < 16; from += 1) words[to++] = address[from] as number;
    this.used = row + 1;
  }

  has(row: number): boolean {
    if (row >= this.used) return false;
    for (let at = row * 16; at < row * 16 + 16; at += 1) {
      if (this.words[at] !== 0) return true;
    }
    return false;
  }
}

/** Nullable(T): the null map and the values; a row that was not set is null. */
export class NullableColumn<C extends ColumnBuilder> implements ColumnBuilder {
  readonly values: C;
  readonly #present = new ByteColumn();

  constructor(values: C) {
    this.values = values;
  }

  get isAbsent(): boolean {
    return this.#present.isAbsent;
  }

  get byteEstimate(): number {
    return this.#present.byteEstimate + this.values.byteEstimate;
  }

  /** To be called beside `values.set`. */
  mark(row: number): void {
    this.#present.set(row, 1);
  }

  has(row: number): boolean {
    return this.#present.get(row) === 1;
  }

  clearRow(row: number): void {
    this.#present.clearRow(row);
    this.values.clearRow(row);
  }

  byteSize(rowCount: number): number {
    return rowCount + this.values.byteSize(rowCount);
  }

  write(writer: NativeWriter, rowCount: number): void {
    const start = writer.at;
    this.#present.write(writer, rowCount);
    const { bytes, at: end } = writer;
    for (let at = start; at < end; at += 1) bytes[at] = (bytes[at] as number) ^ 1;
    this.values.write(writer, rowCount);
  }

  reset(): void {
    this.#present.reset();
    this.values.reset();
  }
}

/** A column with one value for the whole block. */
export class ConstantColumn implements ColumnBuilder {
  readonly isAbsent = false;
  readonly byteEstimate = 0;
  readonly #width: number;
  #value = 0;

  /** `width` in bytes, at most 4. */
  constructor(width: number) {
    this.#width = width;
  }

  set(value: number): void {
    this.#value = value;
  }

  clearRow(): void {}

  byteSize(rowCount: number): number {
    return rowCount * this.#width;
  }

  write(writer: NativeWriter, rowCount: number): void {
    const { bytes } = writer;
    let { at } = writer;
    for (let row = 0; row < rowCount; row += 1) {
      for (let shift = 0; shift < this.#width * 8; shift += 8) bytes[at++] = this.#value >>> shift;
    }
    writer.at = at;
  }

  reset(): void {}
}
