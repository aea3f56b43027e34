/**
 * Walks concatenated Kafka RecordBatches v2 record by record, in place: no object and no copy per record.
 * What cannot be read becomes a BatchFault and reading goes on with the next batch; nothing throws.
 * Bench: bench/codecs.ts.
 */
import {
  type BatchFault,
  type BatchFaultReason,
  controlRecordCount,
  restOfBatchFault,
  wholeBatchFault,
} from './batch-fault.ts';
import { decompressBatch, describeFailure, isKnownCodec } from './codecs/decompress.ts';
import { GrowableBuffer } from './codecs/growable-buffer.ts';
import { crc32cOf } from './crc32c.ts';
import {
  BatchAttribute,
  BatchHeader,
  BatchLayout,
  type BatchStretch,
  LENGTH_PREFIX_BYTES,
  MIN_RECORD_BYTES,
  plausibleTimestampMs,
} from './record-batch-header.ts';
import { VarintCursor } from './varint-cursor.ts';

export interface RecordBatchReaderOptions {
  /** Cap on the records of one compressed batch once decompressed. */
  readonly maxDecompressedBytes?: number;
  /** Whether the stretch may end in a part of a batch, as fetches do: it is then passed over, not a fault. */
  readonly isPartialTailExpected?: boolean;
}

const DEFAULT_MAX_DECOMPRESSED_BYTES = 256 * 1024 * 1024;
/** Shortest batch or old message that can be: checksum, format, attributes and two lengths. */
const MIN_LENGTH = 14;
const NO_BYTES = new Uint8Array(0);

/**
 * `reset(…)`, then `while (nextBatch()) { while (next()) {…record…} if (fault !== null) {…dead letter…} }`.
 *
 * Law 1: when `nextBatch()` gave false, `receivedCount` = records handed out + `controlCount` + the sum of
 * `fault.recordCount`. A batch that breaks in the middle gives its sound records first, then one fault for the rest.
 * Record fields hold until the next call of any method; `bytes` changes from batch to batch.
 */
export class RecordBatchReader {
  /** Where the current record lies: the memory handed in, or the scratch its batch was decompressed into. */
  bytes: Uint8Array = NO_BYTES;
  valueStart = 0;
  valueEnd = 0;
  /** A tombstone; `valueStart` and `valueEnd` are then equal. */
  valueIsNull = false;
  /** -1: no key. */
  keyStart = -1;
  keyEnd = -1;
  /** Headers lie at [headersStart, recordEnd), unread and unchecked. */
  headersStart = 0;
  headersCount = 0;
  recordEnd = 0;
  offset = 0;
  /** The record's time, or the batch's under LogAppendTime; -1: none. */
  timestampMs = -1;

  /** Why the current batch, or the rest of it, could not be read. */
  fault: BatchFault | null = null;

  /** Records this stretch stood for, so far: see the class comment. */
  receivedCount = 0;
  /** Records of control batches: transaction markers, to be counted as filtered. */
  controlCount = 0;
  /** Bytes of an expected partial tail; they were not read and not counted. */
  truncatedBytes = 0;

  readonly #header = new BatchHeader();
  readonly #cursor = new VarintCursor(NO_BYTES);
  readonly #scratch: GrowableBuffer;
  readonly #isPartialTailExpected: boolean;
  #memory: Uint8Array = NO_BYTES;
  #view: DataView = new DataView(NO_BYTES.buffer);
  #nextStart = 0;
  #end = 0;
  #firstOffset = 0;
  #endOffset = Number.POSITIVE_INFINITY;
  // The batch being walked.
  #isOpen = false;
  #remainingCount = 0;
  #lastDelta = -1;
  #limit = 0;
  #appendTimeMs = -1;
  #hasAppendTime = false;
  #baseOffset = 0;
  #maxDelta = -1;
  #baseTimestampMs = 0;

  constructor(options: RecordBatchReaderOptions = {}) {
    this.#scratch = new GrowableBuffer(options.maxDecompressedBytes ?? DEFAULT_MAX_DECOMPRESSED_BYTES);
    this.#isPartialTailExpected = options.isPartialTailExpected ?? false;
  }

  reset(stretch: BatchStretch): void {
    const { memory, start, length } = stretch;
    this.#memory = memory;
    this.#view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    this.#nextStart = start;
    this.#end = Math.min(start + length, memory.byteLength);
    this.#firstOffset = stretch.firstOffset;
    this.#endOffset = stretch.endOffset ?? Number.POSITIVE_INFINITY;
    this.#remainingCount = 0;
    this.#isOpen = false;
    this.fault = null;
    this.receivedCount = 0;
    this.controlCount = 0;
    this.truncatedBytes = 0;
  }

  /** Goes to the next batch that has records or a fault; false at the end of the stretch. */
  nextBatch(): boolean {
    this.fault = null;
    this.#remainingCount = 0;
    this.#isOpen = false;
    for (;;) {
      const start = this.#nextStart;
      const end = this.#batchEnd(start);
      if (end < 0) return false;
      this.#nextStart = end;
      if (this.#openBatch(start, end)) return true;
    }
  }

  /** Goes to the next record of the current batch; false behind its last one or at a fault. */
  next(): boolean {
    const cursor = this.#cursor;
    while (this.#remainingCount > 0) {
      const start = cursor.pos;
      const length = cursor.readInt();
      const end = cursor.pos + length;
      if (length < MIN_RECORD_BYTES - 1 || end > this.#limit) return this.#breakOff(start, 'record length');
      // The attributes of a record are unused by the protocol.
      cursor.pos += 1;
      const timestampDelta = cursor.readLong();
      const delta = cursor.readInt();
      if (delta <= this.#lastDelta || delta > this.#maxDelta) return this.#breakOff(start, 'offset delta');
      if (!this.#readFields(end)) return this.#breakOff(start, 'length of key, value or headers');
      cursor.pos = end;
      this.#lastDelta = delta;
      this.#remainingCount -= 1;
      const offset = this.#baseOffset + delta;
      if (offset < this.#firstOffset) continue;
      this.offset = offset;
      this.recordEnd = end;
      this.timestampMs = this.#hasAppendTime
        ? this.#appendTimeMs
        : plausibleTimestampMs(this.#baseTimestampMs + timestampDelta);
      this.receivedCount += 1;
      return true;
    }
    return this.#closeBatch();
  }

  /** Key, value and count of headers of a record that ends at `end`; false when one of them does not fit. */
  #readFields(end: number): boolean {
    const cursor = this.#cursor;
    const keyLength = cursor.readInt();
    if (keyLength < -1 || cursor.pos + keyLength > end) return false;
    this.keyStart = keyLength < 0 ? -1 : cursor.pos;
    if (keyLength > 0) cursor.pos += keyLength;
    this.keyEnd = keyLength < 0 ? -1 : cursor.pos;
    const valueLength = cursor.readInt();
    if (valueLength < -1 || cursor.pos + valueLength > end) return false;
    this.valueIsNull = valueLength < 0;
    this.valueStart = cursor.pos;
    if (valueLength > 0) cursor.pos += valueLength;
    this.valueEnd = cursor.pos;
    this.headersCount = cursor.readInt();
    this.headersStart = cursor.pos;
    // Each header takes two bytes at the least; without headers the record ends here.
    const headerBytes = end - cursor.pos;
    if (this.headersCount === 0) return headerBytes === 0;
    return this.headersCount > 0 && headerBytes >= this.headersCount * 2;
  }

  /** End of the batch at `start`; -1 when there is no further one, or only a part of it. */
  #batchEnd(start: number): number {
    const available = this.#end - start;
    if (available <= 0) return -1;
    const length = available < LENGTH_PREFIX_BYTES ? 0 : this.#view.getInt32(start + BatchLayout.batchLength);
    const isPartial = available < LENGTH_PREFIX_BYTES || length > available - LENGTH_PREFIX_BYTES;
    if (isPartial && this.#isPartialTailExpected) {
      this.truncatedBytes = available;
      this.#nextStart = this.#end;
      return -1;
    }
    // Without a length that can be right, nothing tells where the next batch begins.
    return isPartial || length < MIN_LENGTH ? this.#end : start + LENGTH_PREFIX_BYTES + length;
  }

  /** Prepares the batch at [start, end) for walking; false when it has nothing to hand out. */
  #openBatch(start: number, end: number): boolean {
    const header = this.#header;
    const kind = header.read(this.#view, start, end);
    if (kind === 'cut') return this.#refuse('corrupt_batch', 'the batch is not whole');
    if (header.lastOffsetDelta >= 0 && header.lastOffset < this.#firstOffset) return false;
    if (header.baseOffset >= this.#endOffset) return false;
    if (kind === 'foreign') {
      return this.#refuse('unsupported_batch', `record format ${header.magic} is not supported`);
    }
    if (crc32cOf(this.#memory, start + BatchLayout.attributes, end) !== header.crc) {
      return this.#refuse('corrupt_batch', 'the checksum does not match');
    }
    const codec = header.attributes & BatchAttribute.codecMask;
    if (!isKnownCodec(codec)) return this.#refuse('unknown_codec', `compression codec ${codec} is not known`);
    const contradiction = header.contradiction();
    if (contradiction !== undefined) return this.#refuse('corrupt_batch', contradiction);
    if ((header.attributes & BatchAttribute.control) !== 0) {
      this.#countControl();
      return false;
    }
    return this.#openRecords(codec);
  }

  #openRecords(codec: number): boolean {
    const header = this.#header;
    const recordsStart = header.start + BatchLayout.records;
    if (codec === 0) {
      this.#aim(this.#memory, recordsStart, header.end);
    } else {
      const input = { bytes: this.#memory, start: recordsStart, end: header.end };
      const outcome = decompressBatch(codec, input, this.#scratch);
      if (outcome !== 'ok') return this.#refuse('decompression_failed', describeFailure(codec, outcome));
      this.#aim(this.#scratch.bytes, 0, this.#scratch.length);
    }
    if (header.recordsCount * MIN_RECORD_BYTES > this.#limit - this.#cursor.pos) {
      return this.#refuse('corrupt_batch', 'records count exceeds the bytes');
    }
    this.#remainingCount = header.recordsCount;
    this.#isOpen = true;
    this.#lastDelta = -1;
    this.#maxDelta = header.lastOffsetDelta;
    this.#baseOffset = header.baseOffset;
    this.#baseTimestampMs = header.baseTimestampMs;
    this.#hasAppendTime = (header.attributes & BatchAttribute.logAppendTime) !== 0;
    this.#appendTimeMs = plausibleTimestampMs(header.maxTimestampMs);
    return true;
  }

  #aim(bytes: Uint8Array, start: number, limit: number): void {
    this.bytes = bytes;
    this.#cursor.bytes = bytes;
    this.#cursor.pos = start;
    this.#limit = limit;
  }

  #countControl(): void {
    const count = controlRecordCount(this.#header, this.#firstOffset);
    this.controlCount += count;
    this.receivedCount += count;
  }

  /** Ends a batch all of whose records were read: nothing may be left of its bytes. Always false. */
  #closeBatch(): boolean {
    if (!this.#isOpen) return false;
    this.#isOpen = false;
    const { pos } = this.#cursor;
    if (pos === this.#limit) return false;
    this.#lastDelta = this.#maxDelta - 1;
    this.#remainingCount = 1;
    return this.#breakOff(pos, 'number of records: bytes remain behind the last one');
  }

  /** Makes the current batch a fault as a whole. Always true: there is something to hand out. */
  #refuse(reason: BatchFaultReason, detail: string): boolean {
    const at = { bytes: this.#memory, firstOffset: this.#firstOffset };
    this.fault = wholeBatchFault(this.#header, { reason, detail }, at);
    this.receivedCount += this.fault.recordCount;
    return true;
  }

  /** Makes the rest of the current batch, from byte `start` on, a fault. Always false. */
  #breakOff(start: number, what: string): boolean {
    const rest = {
      start,
      end: this.#limit,
      nextDelta: this.#lastDelta + 1,
      recordCount: this.#remainingCount,
    };
    const at = { bytes: this.bytes, firstOffset: this.#firstOffset };
    this.fault = restOfBatchFault(this.#header, { ...rest, detail: `a record is not valid: ${what}` }, at);
    this.receivedCount += this.fault.recordCount;
    this.#remainingCount = 0;
    this.#isOpen = false;
    return false;
  }
}
