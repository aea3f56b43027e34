/**
 * The records of one body as record batches of bounded size, so that a reader can pass whole batches over.
 */
import { grownWords } from '../encode/columns/dictionary.ts';
import type { RecordBatchBuilder } from '../encode/record-batch-builder.ts';
import { MillraceError } from '../errors.ts';

/** Whether the record `source[start, end)` is to be kept. */
export type RecordFilter = (source: Uint8Array, start: number, end: number) => boolean;

const MAX_BATCH_RECORDS = 10_000;
/** Each is parsed to be judged, a few microseconds: a body must not hold a worker for long. */
export const MAX_FILTERED_RECORDS = 100_000;
const MAX_LISTED = 1000;
const FIRST_KEPT = 1024;

/** `begin(…)`, `append(…)` per record, then `finish()`, or `drop()` when the body turns out not to be records. */
export class BodyBatches {
  readonly #builder: RecordBatchBuilder;
  #baseOffset = 0;
  #firstOffset = 0;
  #finishedBytes = 0;
  #timestampMs = 0;
  #filter: RecordFilter | undefined;
  #refusedCount = 0;
  #refused: number[] = [];
  #kept = new Uint32Array(FIRST_KEPT);

  constructor(builder: RecordBatchBuilder) {
    this.#builder = builder;
  }

  /** Records of this body so far. */
  get recordCount(): number {
    return this.#baseOffset - this.#firstOffset + this.#builder.recordCount;
  }

  /** Records that the filter did not keep. */
  get refusedCount(): number {
    return this.#refusedCount;
  }

  /** The first 1,000 of them, counted from 0 among those that were appended. */
  get refused(): readonly number[] {
    return this.#refused;
  }

  /** With a filter: which of the appended records it kept, counted from 0. Valid until the next change. */
  get kept(): Uint32Array {
    return this.#kept.subarray(0, this.recordCount);
  }

  /** Records appended, kept or not. */
  get appendedCount(): number {
    return this.recordCount + this.#refusedCount;
  }

  begin(firstOffset: number, timestampMs: number, filter?: RecordFilter): void {
    this.#filter = filter;
    this.#refusedCount = 0;
    this.#refused = [];
    if (this.#kept.length > FIRST_KEPT) this.#kept = new Uint32Array(FIRST_KEPT);
    this.#firstOffset = firstOffset;
    this.#baseOffset = firstOffset;
    this.#timestampMs = timestampMs;
    this.#finishedBytes = this.#builder.finishedBytes;
    this.#builder.begin(timestampMs);
  }

  /** Throws `unprocessable` when a filter has too many records to judge. */
  append(source: Uint8Array, start: number, end: number): void {
    if (this.#filter !== undefined && !this.#passes(source, start, end)) return;
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

  #passes(source: Uint8Array, start: number, end: number): boolean {
    const index = this.appendedCount;
    if (index === MAX_FILTERED_RECORDS) {
      throw new MillraceError(
        'unprocessable',
        `A body of a sender with a scope holds at most ${MAX_FILTERED_RECORDS} records: send it in parts.`,
      );
    }
    if (this.#filter?.(source, start, end) === false) {
      if (this.#refusedCount < MAX_LISTED) this.#refused.push(index);
      this.#refusedCount += 1;
      return false;
    }
    const { recordCount } = this;
    if (recordCount === this.#kept.length) this.#kept = grownWords(this.#kept);
    this.#kept[recordCount] = index;
    return true;
  }

  #finishBatch(): void {
    const count = this.#builder.recordCount;
    this.#builder.finish(this.#baseOffset);
    this.#baseOffset += count;
    this.#builder.begin(this.#timestampMs);
  }
}
