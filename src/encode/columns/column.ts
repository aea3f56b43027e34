/**
 * What a block asks of each of its columns, and the writer that columns write themselves to.
 * A column holds rows 0…n−1; a row that was never set reads as the type's zero, at no cost per row.
 */
import { writeVarint } from '../bytes.ts';

export interface ColumnBuilder {
  /** True while no row was given a value: such a column may be left out of the block. */
  readonly isAbsent: boolean;
  /** Bytes held for the rows so far, roughly. */
  readonly byteEstimate: number;
  /** Forgets what was set for `row`, the newest one. */
  clearRow(row: number): void;
  /** Exact size of the column's data in a block of `rowCount` rows. */
  byteSize(rowCount: number): number;
  write(writer: NativeWriter, rowCount: number): void;
  /** Forgets all rows; keeps the memory. */
  reset(): void;
}

/** Cursor over the exact-size buffer of one block. Little-endian, as Native is. */
export class NativeWriter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  at = 0;

  constructor(byteLength: number) {
    this.bytes = new Uint8Array(byteLength);
  }

  varint(value: number): void {
    this.at = writeVarint(this.bytes, this.at, value);
  }

  /** An unsigned 64-bit number below 2^53. */
  uint64(value: number): void {
    this.uint32(value >>> 0);
    this.uint32((value / 0x1_0000_0000) >>> 0);
  }

  uint16(value: number): void {
    this.bytes[this.at] = value;
    this.bytes[this.at + 1] = value >>> 8;
    this.at += 2;
  }

  uint32(value: number): void {
    const { bytes, at } = this;
    bytes[at] = value;
    bytes[at + 1] = value >>> 8;
    bytes[at + 2] = value >>> 16;
    bytes[at + 3] = value >>> 24;
    this.at = at + 4;
  }

  /** The first `byteLength` bytes of `source`. */
  raw(source: Uint8Array, byteLength: number): void {
    this.bytes.set(byteLength === source.length ? source : source.subarray(0, byteLength), this.at);
    this.at += byteLength;
  }

  zeros(count: number): void {
    // A fresh buffer is zero already.
    this.at += count;
  }

  fill(value: number, count: number): void {
    this.bytes.fill(value, this.at, this.at + count);
    this.at += count;
  }
}
