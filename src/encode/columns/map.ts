/**
 * Map(LowCardinality(String), String): entries are begun with a key and ended with a value.
 * Native layout: prefix of the keys, UInt64 end offset per row, keys, values.
 */
import { ByteBuffer } from '../bytes.ts';
import type { ColumnBuilder, NativeWriter } from './column.ts';
import { grownWords } from './dictionary.ts';
import {
  LOW_CARDINALITY_PREFIX_BYTES,
  LowCardinalityValues,
  writeLowCardinalityPrefix,
} from './low-cardinality.ts';

export class MapColumn implements ColumnBuilder {
  readonly #keys = new LowCardinalityValues();
  readonly #values = new ByteBuffer(4096);
  /** Entry count at the end of each closed row. */
  #ends = new Uint32Array(1024);
  #rows = 0;
  /** For each key of the dictionary the serial of the row that used it last. */
  #lastUse = new Uint32Array(256);
  #serial = 1;
  #markValues = 0;

  get isAbsent(): boolean {
    return this.#keys.count === 0;
  }

  get byteEstimate(): number {
    return this.#keys.count * 4 + this.#keys.dictionary.native.length + this.#values.length + this.#rows * 8;
  }

  /** Whether the open row has an entry with this key. */
  hasKey(source: Uint8Array, start: number, end: number): boolean {
    const key = this.#keys.dictionary.find(source, start, end);
    return key >= 0 && key < this.#lastUse.length && this.#lastUse[key] === this.#serial;
  }

  /** Adds the key of an entry; `value` must follow. False, and nothing done, when the open row has it already. */
  key(source: Uint8Array, start: number, end: number): boolean {
    return this.keyAt(this.keyIndex(source, start, end));
  }

  /** Number of a key, for `keyAt`; valid while `generation` is what it is. */
  keyIndex(source: Uint8Array, start: number, end: number): number {
    return this.#keys.dictionary.intern(source, start, end);
  }

  get generation(): number {
    return this.#keys.dictionary.generation;
  }

  keyAt(key: number): boolean {
    while (key >= this.#lastUse.length) this.#lastUse = grownWords(this.#lastUse);
    if (this.#lastUse[key] === this.#serial) return false;
    this.#lastUse[key] = this.#serial;
    this.#keys.push(key);
    return true;
  }

  value(source: Uint8Array, start: number, end: number): void {
    this.#values.appendString(source, start, end);
  }

  /** Ends the open row, which is `row`. */
  closeRow(row: number): void {
    if (row >= this.#ends.length) this.#ends = grownWords(this.#ends);
    this.#ends[row] = this.#keys.count;
    this.#rows = row + 1;
    this.#openNext();
    this.#keys.mark();
    this.#markValues = this.#values.length;
  }

  clearRow(): void {
    this.#keys.rewind();
    this.#values.length = this.#markValues;
    this.#openNext();
  }

  byteSize(rowCount: number): number {
    return (
      LOW_CARDINALITY_PREFIX_BYTES +
      rowCount * 8 +
      this.#keys.byteSize(this.#keys.count) +
      this.#values.length
    );
  }

  write(writer: NativeWriter, rowCount: number): void {
    writeLowCardinalityPrefix(writer);
    for (let row = 0; row < rowCount; row += 1) writer.uint64(this.#ends[row] as number);
    this.#keys.write(writer, this.#keys.count);
    writer.raw(this.#values.bytes, this.#values.length);
  }

  reset(): void {
    this.#keys.reset();
    this.#values.length = 0;
    this.#rows = 0;
    this.#markValues = 0;
    this.#openNext();
  }

  /** Rows are told apart by a serial, because a rolled back row's number is used again. */
  #openNext(): void {
    this.#serial += 1;
    if (this.#serial === 0xffff_ffff) {
      this.#lastUse.fill(0);
      this.#serial = 1;
    }
  }
}
