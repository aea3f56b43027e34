/**
 * String: values appended in Native form (varint length, bytes). Rows that were not set are padded with
 * empty strings when the next one comes, so an absent field costs nothing per row.
 */
import { ByteBuffer, copyBytes } from '../bytes.ts';
import type { ColumnBuilder, NativeWriter } from './column.ts';

export class StringColumn implements ColumnBuilder {
  readonly #native = new ByteBuffer(0);
  /** Rows written, padding included. */
  #rows = 0;
  /** Where the newest row that was set begins. */
  #rowStart = 0;
  #isAbsent = true;

  get isAbsent(): boolean {
    return this.#isAbsent;
  }

  get byteEstimate(): number {
    return this.#native.length;
  }

  // oxlint-disable-next-line max-params -- kernel, bench/parse-json.ts
  set(row: number, source: Uint8Array, start: number, end: number): void {
    if (row < this.#rows) this.clearRow(row);
    if (row > this.#rows) this.#native.appendZeros(row - this.#rows);
    this.#rowStart = this.#native.length;
    this.#native.appendString(source, start, end);
    this.#rows = row + 1;
    this.#isAbsent = false;
  }

  /** Whether the newest row has a value that is not empty. */
  has(row: number): boolean {
    return row < this.#rows && this.#native.bytes[this.#rowStart] !== 0;
  }

  /** Copies the newest row's value to `target` at `at`; position behind it, -1 when it does not fit. */
  copyNewest(row: number, target: Uint8Array, at: number): number {
    if (!this.has(row)) return at;
    const { bytes, length } = this.#native;
    let start = this.#rowStart;
    // Behind the length, a varint.
    while ((bytes[start++] as number) >= 0x80);
    return copyBytes(bytes, start, length, target, at);
  }

  clearRow(row: number): void {
    if (row >= this.#rows) return;
    this.#native.length = this.#rowStart;
    this.#rows = row;
  }

  byteSize(rowCount: number): number {
    return this.#native.length + rowCount - this.#rows;
  }

  write(writer: NativeWriter, rowCount: number): void {
    writer.raw(this.#native.bytes, this.#native.length);
    writer.zeros(rowCount - this.#rows);
  }

  reset(): void {
    this.#native.length = 0;
    this.#rows = 0;
    this.#rowStart = 0;
    this.#isAbsent = true;
  }
}
