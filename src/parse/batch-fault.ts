/**
 * What could not be read of a record batch, as one dead letter: where it is, why, and for how many records it stands.
 */
import type { LetterContent } from '../event/columns.ts';
import type { DeadLetterReason } from '../event/reasons.ts';
import {
  type BatchHeader,
  BatchLayout,
  MIN_RECORD_BYTES,
  plausibleTimestampMs,
} from './record-batch-header.ts';

export type BatchFaultReason = Extract<
  DeadLetterReason,
  'corrupt_batch' | 'unknown_codec' | 'decompression_failed' | 'unsupported_batch'
>;

/**
 * One stretch of a lane that gave no records. It counts as `recordCount` received records, all dead-lettered:
 * what the header claims when that is plausible, else 1. Never 0, so that no fault goes uncounted.
 */
export interface BatchFault {
  readonly reason: BatchFaultReason;
  /** Why, in words, without the record's content. */
  readonly detail: string;
  /** First offset that could not be read: the dead letter's own. Never below the reader's `firstOffset`. */
  readonly offset: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly recordCount: number;
  /** The batch's newest time; -1 when it has none that is plausible. */
  readonly timestampMs: number;
  /** The bytes that could not be read, `bytes[start, end)`: the batch as it came, or the rest of its records. */
  readonly content: Exclude<LetterContent, 'record'>;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** A compressed record takes at least this share of a byte; codecs reach about 1000 : 1 on real data. */
const MAX_COMPRESSED_RECORDS_PER_BYTE = 1024;

/** How many records a batch of transaction markers holds, those below `firstOffset` left out. */
export function controlRecordCount(header: BatchHeader, firstOffset: number): number {
  return header.recordsCount === 0 ? 0 : plausibleRecordCount(header, firstOffset);
}

/** How many records a batch that cannot be read stands for, those below `firstOffset` left out. */
function plausibleRecordCount(header: BatchHeader, firstOffset: number): number {
  const { recordsCount, lastOffsetDelta } = header;
  const recordBytes = header.end - header.start - BatchLayout.records;
  const isCompressed = (header.attributes & 0x07) !== 0;
  const most = isCompressed ? recordBytes * MAX_COMPRESSED_RECORDS_PER_BYTE : recordBytes / MIN_RECORD_BYTES;
  if (recordsCount < 1 || recordsCount > lastOffsetDelta + 1 || recordsCount > most) return 1;
  const remainingOffsets = header.lastOffset - Math.max(header.baseOffset, firstOffset) + 1;
  return Math.max(1, Math.min(recordsCount, remainingOffsets));
}

/** The fault of a whole batch. */
export function wholeBatchFault(
  header: BatchHeader,
  why: { readonly reason: BatchFaultReason; readonly detail: string },
  at: { readonly bytes: Uint8Array; readonly firstOffset: number },
): BatchFault {
  return {
    reason: why.reason,
    detail: why.detail,
    offset: Math.max(header.baseOffset, at.firstOffset, 0),
    baseOffset: header.baseOffset,
    lastOffset: header.lastOffset,
    recordCount: plausibleRecordCount(header, at.firstOffset),
    timestampMs: plausibleTimestampMs(header.maxTimestampMs),
    content: 'batches',
    bytes: at.bytes,
    start: header.start,
    end: header.end,
  };
}

/** The fault of a batch from one of its records on; those before it were read. */
export function restOfBatchFault(
  header: BatchHeader,
  rest: {
    readonly start: number;
    readonly end: number;
    /** Offset delta of the first record that could not be read, or lower. */
    readonly nextDelta: number;
    /** Records that the header still owes. */
    readonly recordCount: number;
    readonly detail: string;
  },
  at: { readonly bytes: Uint8Array; readonly firstOffset: number },
): BatchFault {
  const offset = Math.max(header.baseOffset + rest.nextDelta, at.firstOffset);
  return {
    reason: 'corrupt_batch',
    detail: rest.detail,
    offset,
    baseOffset: header.baseOffset,
    lastOffset: header.lastOffset,
    recordCount: Math.max(1, Math.min(rest.recordCount, header.lastOffset - offset + 1)),
    timestampMs: plausibleTimestampMs(header.maxTimestampMs),
    content: 'records',
    bytes: at.bytes,
    start: rest.start,
    end: rest.end,
  };
}
