/**
 * Messages between the coordinator and the parse workers (Piscina tasks): plain data only.
 * The record batches stay where the arena put them: worker and coordinator share that memory, so a batch
 * survives the worker that died on it. Blocks come back as moved ArrayBuffers.
 */

import type { ErrorCode } from '../errors.ts';
import type { DeadLetterReason, FilterReason } from '../event/reasons.ts';
import type { Scope } from '../event/scope.ts';
import type { ArmedFailpoints } from '../failpoints.ts';
import type { PresentByTable } from './present.ts';

/** What every parse worker is told once, at start (Piscina `workerData`). */
export interface ParseWorkerData {
  readonly maxRecordBytes: number;
  /** A compressed batch that holds more is a dead letter. */
  readonly maxBatchBytes: number;
  readonly defaultRetentionDays: number;
  /** Seals dead letters; LETTER_KEY_BYTES bytes. */
  readonly letterKey: Uint8Array;
  /** Filled in by the pool. */
  readonly failpoints?: ArmedFailpoints | undefined;
}

/** Work for one lane: Kafka RecordBatches v2, concatenated, undecoded. */
export interface ParseTask {
  readonly kind: 'parse';
  /** Memory holding the batches at [start, start + length). */
  readonly memory: SharedArrayBuffer;
  readonly start: number;
  readonly length: number;
  /** Number of the source, 0–255, and its partition, 0–16383. */
  readonly source: number;
  readonly partition: number;
  /** Records below this offset were dealt with before and are passed over, uncounted. */
  readonly firstOffset: number;
  /** Records from this offset on are left to another task. */
  readonly endOffset: number;
  /**
   * Set: every record of the range becomes a dead letter of this reason, without being parsed; with `isUndecoded`
   * the whole range becomes one letter that holds the batches as they came, without being read at all.
   */
  readonly refusal?: {
    readonly reason: DeadLetterReason;
    readonly detail: string;
    readonly isUndecoded?: boolean;
  };
  /** Records of the range that are stored already: by offset and record time, per table. */
  readonly present?: PresentByTable;
  /** Stands in for the record time where a record carries none; microseconds. */
  readonly receivedUs: number;
}

/** Rows for one table as one Native block. `bytes` is moved. */
export interface Block {
  readonly bytes: ArrayBuffer;
  readonly rowCount: number;
  /** Distinct partition keys the rows fall into, `day number * 8 + retention class`; at most 32. */
  readonly partitionKeys: readonly number[];
}

export interface DeadLetterNote {
  readonly offset: number;
  readonly reason: DeadLetterReason;
  readonly detail: string;
  /** Record time in microseconds; with the coordinates it makes the letter's id. */
  readonly recordTimeUs: number;
}

export interface ParseResult {
  /** Everything below is dealt with; short of the task's `endOffset` when the blocks had grown large enough. */
  readonly reachedOffset: number;
  readonly logs: readonly Block[];
  readonly deadLetters: readonly Block[];
  /** receivedCount = rows in logs + dead letters + filtered + already present. */
  readonly receivedCount: number;
  readonly alreadyPresentCount: number;
  readonly filtered: Readonly<Partial<Record<FilterReason, number>>>;
  readonly deadLettered: Readonly<Partial<Record<DeadLetterReason, number>>>;
  /** Offsets of all dead letters, those already present too, and the first 1,000 of them in words, for the answer to who sent them. */
  readonly deadLetterOffsets: Float64Array;
  readonly deadLetterNotes: readonly DeadLetterNote[];
  /** Records that the fast path gave up to the slow one. */
  readonly slowPathCount: number;
  /** Newest event time in microseconds, -Infinity without rows. */
  readonly maxTimestampUs: number;
}

export type BodyFormat = 'json' | 'ndjson' | 'text';

/** Bodies of direct sources, to be framed into one RecordBatch with offsets from 0. */
export interface FrameTask {
  readonly kind: 'frame';
  readonly bodies: readonly FrameBody[];
}

/** For a worker that has nothing to do: it gives back what it keeps from task to task. */
export interface TrimTask {
  readonly kind: 'trim';
}

export interface FrameBody {
  readonly memory: SharedArrayBuffer;
  readonly start: number;
  readonly length: number;
  readonly format: BodyFormat;
  /** Receipt time in milliseconds; the time of its records. */
  readonly receivedMs: number;
  /** Records outside give no record. Absent: all are taken. */
  readonly scope?: Scope | undefined;
}

export interface FramedBody {
  /** Records this body gave, in order; 0 with `error` set when it could not be framed at all. */
  readonly recordCount: number;
  /** Length of its batches. */
  readonly batchBytes: number;
  /** For each record the 1-based line (ndjson, text) or element (json array) it came from; absent: 1, 2, 3, … */
  readonly positions?: Uint32Array;
  readonly error?: { readonly reason: DeadLetterReason; readonly detail: string };
  /** Why nothing of it is taken, in words for its sender. */
  readonly refusal?: { readonly code: ErrorCode; readonly message: string };
  /** What its scope kept out: how many, and the positions of the first 1,000. Absent: nothing. */
  readonly outOfScope?: { readonly count: number; readonly positions: readonly number[] };
}

export interface FrameResult {
  /** One RecordBatch v2 per framed body, concatenated; base offsets start at 0 and go on from body to body. */
  readonly batches: ArrayBuffer;
  readonly recordCount: number;
  readonly bodies: readonly FramedBody[];
}
