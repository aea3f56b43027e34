/**
 * The records of one body as record batches of bounded size, so that a reader can pass whole batches over.
 */
import type { RecordBatchBuilder } from '../encode/record-batch-builder.ts';

const MAX_BATCH_RECORDS = 10_000;

/** `begin(…)`, `append(…)` per record, then `finish()`, or `drop()` when the body turns out not to be records. */
export class BodyBatches {
  readonly #builder: RecordBatchBuilder;
  #baseOffset = 0;
  #firstOffset = 0;
  #finishedBytes = 0;
  #timestampMs = 0;

  constructor(builder: RecordBatchBuilder) {
    this.#builder = builder;
  }

  /** Records of this body so far. */
  get recordCount(): number {
    return this.#baseOffset - this.#firstOffset + this.#builder.recordCount;
  }

  begin(firstOffset: number, timestampMs: number): void {
    this.#firstOffset = firstOffset;
    this.#baseOffset = firstOffset;
    this.#timestampMs = timestampMs;
    this.#finishedBytes = this.#builder.finishedBytes;
    this.#builder.begin(timestampMs);
  }

  append(source: Uint8Array, start: number, end: number): void {
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
