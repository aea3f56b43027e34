/**
 * Array(Tuple(name LC, severity LC, tags Array(LC))): the threats of an event.
 * Native layout: the three LC prefixes, UInt64 end offset per row, names, severities,
 * UInt64 end offset of tags per threat, tags. Inner parts without values are left out.
 */

import type { ColumnBuilder, NativeWriter } from './column.ts';
import { grownWords } from './dictionary.ts';
import {
  LOW_CARDINALITY_PREFIX_BYTES,
  LowCardinalityValues,
  writeLowCardinalityPrefix,
} from './low-cardinality.ts';

export class ThreatsColumn implements ColumnBuilder {
  readonly #names = new LowCardinalityValues();
  readonly #severities = new LowCardinalityValues();
  readonly #tags = new LowCardinalityValues();
  readonly #parts: readonly LowCardinalityValues[] = [this.#names, this.#severities, this.#tags];
  #rowEnds = new Uint32Array(0);
  #tagEnds = new Uint32Array(64);
  /** Rows whose end is written; later ones have no threats. */
  #rows = 0;

  get isAbsent(): boolean {
    return this.#names.count === 0;
  }

  get byteEstimate(): number {
    return this.#names.count * 16 + this.#tags.count * 4 + this.#rows * 8;
  }

  /** Opens a threat in `row`; name, severity and tags not given are empty. */
  begin(row: number): void {
    if (row >= this.#rows) this.#openRow(row);
    this.#names.push(0);
    this.#severities.push(0);
    const count = this.#names.count;
    if (count > this.#tagEnds.length) this.#tagEnds = grownWords(this.#tagEnds);
    this.#tagEnds[count - 1] = this.#tags.count;
    this.#rowEnds[row] = count;
  }

  name(source: Uint8Array, start: number, end: number): void {
    this.#names.indexes[this.#names.count - 1] = this.#names.dictionary.intern(source, start, end);
  }

  severity(source: Uint8Array, start: number, end: number): void {
    this.#severities.indexes[this.#names.count - 1] = this.#severities.dictionary.intern(source, start, end);
  }

  tag(source: Uint8Array, start: number, end: number): void {
    this.#tags.push(this.#tags.dictionary.intern(source, start, end));
    this.#tagEnds[this.#names.count - 1] = this.#tags.count;
  }

  clearRow(row: number): void {
    if (row >= this.#rows) return;
    for (const part of this.#parts) part.rewind();
    this.#rows = row;
  }

  byteSize(rowCount: number): number {
    const threats = this.#names.count;
    return (
      3 * LOW_CARDINALITY_PREFIX_BYTES +
      rowCount * 8 +
      threats * 8 +
      this.#names.byteSize(threats) +
      this.#severities.byteSize(threats) +
      this.#tags.byteSize(this.#tags.count)
    );
  }

  write(writer: NativeWriter, rowCount: number): void {
    for (let prefix = 0; prefix < 3; prefix += 1) writeLowCardinalityPrefix(writer);
    const threats = this.#names.count;
    for (let row = 0; row < rowCount; row += 1) {
      writer.uint64(row < this.#rows ? (this.#rowEnds[row] as number) : threats);
    }
    this.#names.write(writer, threats);
    this.#severities.write(writer, threats);
    for (let threat = 0; threat < threats; threat += 1) writer.uint64(this.#tagEnds[threat] as number);
    this.#tags.write(writer, this.#tags.count);
  }

  reset(): void {
    for (const part of this.#parts) part.reset();
    this.#rows = 0;
  }

  #openRow(row: number): void {
    for (const part of this.#parts) part.mark();
    if (row >= this.#rowEnds.length) {
      const grown = new Uint32Array(Math.max(1024, this.#rowEnds.length * 2, row + 1));
      grown.set(this.#rowEnds);
      this.#rowEnds = grown;
    }
    this.#rowEnds.fill(this.#names.count, this.#rows, row + 1);
    this.#rows = row + 1;
  }
}
