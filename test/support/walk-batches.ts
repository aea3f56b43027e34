/** Reads a stretch of record batches to its end and lists what came out, for tests to compare. */
import type { BatchFault } from '../../src/parse/batch-fault.ts';
import { RecordBatchReader, type RecordBatchReaderOptions } from '../../src/parse/record-batch.ts';

export interface WalkedRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headersCount: number;
}

export interface Walked {
  readonly records: readonly WalkedRecord[];
  readonly faults: readonly BatchFault[];
  readonly receivedCount: number;
  readonly controlCount: number;
  readonly truncatedBytes: number;
}

export interface WalkOptions extends RecordBatchReaderOptions {
  readonly firstOffset?: number;
  readonly start?: number;
  readonly reader?: RecordBatchReader;
}

/** No stretch a test makes has more; reading more than that is an endless loop. */
const MAX_STEPS = 2_000_000;

export function walkBatches(memory: Uint8Array, options: WalkOptions = {}): Walked {
  const reader = options.reader ?? new RecordBatchReader(options);
  const start = options.start ?? 0;
  reader.reset({ memory, start, length: memory.length - start, firstOffset: options.firstOffset ?? 0 });
  const records: WalkedRecord[] = [];
  const faults: BatchFault[] = [];
  for (let steps = 0; reader.nextBatch(); steps++) {
    while (reader.next()) {
      records.push(currentRecord(reader));
      if (records.length > MAX_STEPS) throw new Error('the reader does not end');
    }
    if (reader.fault !== null) faults.push(reader.fault);
    if (steps > MAX_STEPS) throw new Error('the reader does not end');
  }
  const { receivedCount, controlCount, truncatedBytes } = reader;
  return { records, faults, receivedCount, controlCount, truncatedBytes };
}

/** Whether the counts of law 1 add up: each received record was handed out, is control, or is in a fault. */
export function addsUp(walked: Walked): boolean {
  const faulty = walked.faults.reduce((sum, fault) => sum + fault.recordCount, 0);
  return walked.receivedCount === walked.records.length + walked.controlCount + faulty;
}

function currentRecord(reader: RecordBatchReader): WalkedRecord {
  return {
    offset: reader.offset,
    timestampMs: reader.timestampMs,
    key: reader.keyStart < 0 ? null : textOf(reader.bytes, reader.keyStart, reader.keyEnd),
    value: reader.valueIsNull ? null : textOf(reader.bytes, reader.valueStart, reader.valueEnd),
    headersCount: reader.headersCount,
  };
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}
