/**
 * Reads the columns of a Native block that this program wrote (src/encode); it is no reader for blocks of strangers.
 * https://clickhouse.com/docs/interfaces/formats/Native
 */
import { ipText } from './ip-text.ts';

/** The values of a column. Rows are counted from 0. */
export interface Cells<T> {
  at(row: number): T;
}

/** A run of values in a shared list. */
interface Run {
  readonly start: number;
  readonly end: number;
}

const LOW_CARDINALITY_PREFIX_BYTES = 8;
const INDEX_WIDTH_BITS = 0xff;
const IP_BYTES = 16;
const TWO_32 = 2 ** 32;

/** Its methods take the data of the next column; the cells they return read it when they are asked. */
export class NativeReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(block: ArrayBuffer) {
    this.#bytes = Buffer.from(block);
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes.readUInt8(this.#at++);
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  text(): string {
    const length = this.varint();
    this.#at += length;
    return this.#bytes.toString('utf8', this.#at - length, this.#at);
  }

  uint(count: number, width: 1 | 2 | 4): Cells<number> {
    const start = this.#skip(count * width);
    return { at: (row) => this.#bytes.readUIntLE(start + row * width, width) };
  }

  /** Below 2^53. */
  uint64(count: number): Cells<number> {
    const start = this.#skip(count * 8);
    return { at: (row) => this.#number(start + row * 8) };
  }

  digits(count: number): Cells<string> {
    const start = this.#skip(count * 8);
    return { at: (row) => this.#bytes.readBigUInt64LE(start + row * 8).toString() };
  }

  float(count: number): Cells<number> {
    const start = this.#skip(count * 8);
    return { at: (row) => this.#bytes.readDoubleLE(start + row * 8) };
  }

  ip(count: number): Cells<string> {
    const start = this.#skip(count * IP_BYTES);
    return {
      at: (row) => ipText(this.#bytes.subarray(start + row * IP_BYTES, start + (row + 1) * IP_BYTES)),
    };
  }

  nullable<T>(count: number, read: () => Cells<T>): Cells<T | null> {
    const nulls = this.uint(count, 1);
    const values = read();
    return { at: (row) => (nulls.at(row) === 1 ? null : values.at(row)) };
  }

  strings(count: number): Cells<string> {
    const ends = new Uint32Array(count);
    const starts = new Uint32Array(count);
    for (let row = 0; row < count; row++) {
      const length = this.varint();
      starts[row] = this.#at;
      ends[row] = this.#at += length;
    }
    return { at: (row) => this.#bytes.toString('utf8', starts[row], ends[row]) };
  }

  lowCardinality(count: number): Cells<string> {
    this.lowCardinalityPrefix();
    return this.lowCardinalityValues(count);
  }

  lowCardinalityPrefix(): void {
    this.#skip(LOW_CARDINALITY_PREFIX_BYTES);
  }

  /** Nothing is there when there are no values. */
  lowCardinalityValues(count: number): Cells<string> {
    if (count === 0) return { at: () => '' };
    const width = (1 << (this.#nextNumber() & INDEX_WIDTH_BITS)) as 1 | 2 | 4;
    const dictionary = this.strings(this.#nextNumber());
    this.#nextNumber();
    const indexes = this.uint(count, width);
    const known: string[] = [];
    return {
      at: (row) => {
        const index = indexes.at(row);
        return (known[index] ??= dictionary.at(index));
      },
    };
  }

  /** Where the values of each row are, and how many they are in all. */
  runs(count: number): Cells<Run> & { readonly total: number } {
    const ends = this.uint64(count);
    return {
      at: (row) => ({ start: row === 0 ? 0 : ends.at(row - 1), end: ends.at(row) }),
      total: count === 0 ? 0 : ends.at(count - 1),
    };
  }

  #nextNumber(): number {
    return this.#number(this.#skip(8));
  }

  #number(at: number): number {
    return this.#bytes.readUInt32LE(at) + this.#bytes.readUInt32LE(at + 4) * TWO_32;
  }

  /** Where the skipped bytes begin. */
  #skip(byteCount: number): number {
    const start = this.#at;
    this.#at += byteCount;
    return start;
  }
}

export function valuesIn<T>(cells: Cells<T>, { start, end }: Run): T[] {
  const values: T[] = [];
  for (let i = start; i < end; i++) values.push(cells.at(i));
  return values;
}
