/**
 * Layout of Kafka's RecordBatch v2 (magic 2) and a reader of its header.
 * Source: Kafka protocol guide, "Record Batch". Integers are big-endian.
 */

/**
 * Batches at `memory[start, start + length)`; records below `firstOffset` are passed over, uncounted, and so are
 * batches that begin at or past `endOffset`.
 */
export interface BatchStretch {
  readonly memory: Uint8Array;
  readonly start: number;
  readonly length: number;
  readonly firstOffset: number;
  readonly endOffset?: number;
}

/** Byte offsets from the start of the batch. */
export const BatchLayout = {
  baseOffset: 0,
  /** Bytes that follow this field. */
  batchLength: 8,
  partitionLeaderEpoch: 12,
  magic: 16,
  /** CRC32C of everything behind it. */
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordsCount: 57,
  records: 61,
} as const;

/** Bytes up to and including `batchLength`, which that length does not count. */
export const LENGTH_PREFIX_BYTES = 12;
export const BATCH_MAGIC = 2;

export const BatchAttribute = { codecMask: 0x07, logAppendTime: 0x08, control: 0x20 } as const;

/** length, attributes, timestamp, offset, key length, value length, header count: one byte each at the least. */
export const MIN_RECORD_BYTES = 7;

/** Times outside 1970–2255 are taken for absent, so that everything behind can trust them. */
const MAX_TIMESTAMP_MS = 9_000_000_000_000;

/** A timestamp that can be stored, else -1: Kafka's own mark for "none". */
export function plausibleTimestampMs(timestampMs: number): number {
  return timestampMs >= 0 && timestampMs <= MAX_TIMESTAMP_MS ? timestampMs : -1;
}

/** Signed 64 bits as a double: exact up to 2^53. */
function readInt64(view: DataView, at: number): number {
  return view.getInt32(at) * 2 ** 32 + view.getUint32(at + 4);
}

export function writeInt64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value >>> 0);
}

/** Header of one batch; one object per reader, filled anew for each batch. */
export class BatchHeader {
  baseOffset = 0;
  lastOffset = 0;
  magic = 0;
  crc = 0;
  attributes = 0;
  lastOffsetDelta = 0;
  baseTimestampMs = 0;
  maxTimestampMs = 0;
  recordsCount = 0;
  /** First byte of the batch and the one behind its last. */
  start = 0;
  end = 0;

  /**
   * Reads the header of what lies at [start, end): `whole`, `foreign` (another record format: only offset and
   * format are known) or `cut` (less than a header, or less than the batch's own length says).
   */
  read(view: DataView, start: number, end: number): 'whole' | 'foreign' | 'cut' {
    const available = end - start;
    this.start = start;
    this.end = end;
    this.baseOffset = available < LENGTH_PREFIX_BYTES ? 0 : readInt64(view, start);
    this.magic = available > BatchLayout.magic ? view.getInt8(start + BatchLayout.magic) : BATCH_MAGIC;
    if (this.magic !== BATCH_MAGIC || available < BatchLayout.records) {
      this.#forgetRest();
      return this.magic === BATCH_MAGIC ? 'cut' : 'foreign';
    }
    this.crc = view.getUint32(start + BatchLayout.crc);
    this.attributes = view.getUint16(start + BatchLayout.attributes);
    this.lastOffsetDelta = view.getInt32(start + BatchLayout.lastOffsetDelta);
    this.baseTimestampMs = readInt64(view, start + BatchLayout.baseTimestamp);
    this.maxTimestampMs = readInt64(view, start + BatchLayout.maxTimestamp);
    this.recordsCount = view.getInt32(start + BatchLayout.recordsCount);
    this.lastOffset = this.baseOffset + Math.max(this.lastOffsetDelta, 0);
    const isWhole = view.getInt32(start + BatchLayout.batchLength) === available - LENGTH_PREFIX_BYTES;
    return isWhole ? 'whole' : 'cut';
  }

  #forgetRest(): void {
    this.crc = 0;
    this.attributes = 0;
    this.lastOffsetDelta = 0;
    this.baseTimestampMs = -1;
    this.maxTimestampMs = -1;
    this.recordsCount = 1;
    this.lastOffset = this.baseOffset;
  }

  /** What contradicts itself in the header; undefined when it can be walked. */
  contradiction(): string | undefined {
    if (this.baseOffset < 0 || !Number.isSafeInteger(this.lastOffset)) return 'base offset is out of range';
    if (this.lastOffsetDelta < 0) return 'last offset delta is negative';
    if (this.recordsCount < 0) return 'records count is negative';
    if (this.recordsCount > this.lastOffsetDelta + 1) return 'records count exceeds the offsets';
    return undefined;
  }
}
