/**
 * The records of one body as record batches of bounded size, so that a reader can pass whole batches over.
 */
import type { RecordBatchBuilder } from '../encode/record-batch-builder.ts';

/** Whether the record `source[start, end)` is to be kept. */
export type RecordFilter = (source: Uint8Array, start: number, end: number) => boolean;

const MAX_BATCH_RECORDS = 10_000;

/** `begin(…)`, `append(…)` per record, then `finish()`, or `drop()` when the body turns out not to be records. */
export class BodyBatches {
  readonly #builder: RecordBatchBuilder;
  #baseOffset = 0;
  #firstOffset = 0;
  #finishedBytes = 0;
  #timestampMs = 0;
  #filter: RecordFilter | undefined;
  #refused: number[] = [];

  constructor(builder: RecordBatchBuilder) {
    this.#builder = builder;
  }

  /** Records of this body so far. */
  get recordCount(): number {
    return this.#baseOffset - this.#firstOffset + this.#builder.recordCount;
  }

  /** Which of the records that were appended the filter did not keep, counted from 0. */
  get refused(): readonly number[] {
    return this.#refused;
  }

  /** Records appended, kept or not. */
  get appendedCount(): number {
    return this.recordCount + this.#refused.length;
  }

  begin(firstOffset: number, timestampMs: number, filter?: RecordFilter): void {
    this.#filter = filter;
    this.#refused = [];
    this.#firstOffset = firstOffset;
    this.#baseOffset = firstOffset;
    this.#timestampMs = timestampMs;
    this.#finishedBytes = this.#builder.finishedBytes;
    this.#builder.begin(timestampMs);
  }

  append(source: Uint8Array, start: number, end: number): void {
    if (this.#filter?.(source, start, end) === false) {
      this.#refused.push(this.appendedCount);
      return;
    }
    if (this.#builder.recordCount === MAX_BATCH_RECORDS) this.#finishBatch();
    this.#builder.append(source, start, end);
  }

  finish(): void {
    this.#finishBatch();
  }

  /** Forgets the body with all its batches. */
  drop(): void {
    this.#builder.truncate(this.#finishedBytes);
  }

  #finishBatch(): void {
    const count = this.#builder.recordCount;
    this.#builder.finish(this.#baseOffset);
    this.#baseOffset += count;
    this.#builder.begin(this.#timestampMs);
  }
}
