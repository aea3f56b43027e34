/**
 * A stretch of record batches → blocks, counts and dead letters: what a parse worker does with one task.
 * Every record of the range becomes one row, one dead letter or one filter count, or is present already.
 */
import { type DeadLetter, DeadLetterBlock } from '../encode/dead-letter-block.ts';
import { EventBlock } from '../encode/event-block.ts';
import { LetterSeal } from '../encode/letter-seal.ts';
import { clampRecordTime } from '../encode/record-time.ts';
import type { DeadLetterReason, FilterReason } from '../event/reasons.ts';
import { failpointSync, isFailpointArmed, POISON_MARK } from '../failpoints.ts';
import type { BatchFault } from '../parse/batch-fault.ts';
import type { ParseOutcome } from '../parse/parse-outcome.ts';
import { RecordParser } from '../parse/parse-record.ts';
import { RecordBatchReader } from '../parse/record-batch.ts';
import type { Block, DeadLetterNote, ParseResult, ParseTask, ParseWorkerData } from './parse-protocol.ts';
import type { BlockTable } from './ports.ts';
import { PresentWalk } from './present.ts';
import { refusalDetail } from './refusal-detail.ts';

const MAX_NOTES = 1000;
/** Blocks and letters of one task; a batch that holds more, compressed perhaps a hundredfold, is parsed in parts. */
const MAX_TASK_BYTES = 8 * 1024 * 1024;
const MAX_TASK_LETTERS = 65_536;

interface Letter extends DeadLetter {
  /** False: the time of receipt stands in, and another reading of the same record would have another. */
  readonly hasOwnTime: boolean;
}

/** One per worker; keeps its memory from task to task and nothing else. */
export class BatchParser {
  readonly #options: ParseWorkerData;
  readonly #isPoisonArmed = isFailpointArmed('poison');
  readonly #reader: RecordBatchReader;
  readonly #block = new EventBlock();
  readonly #parser = new RecordParser(this.#block);
  readonly #letters: DeadLetterBlock;
  #task: ParseTask | undefined;
  #logBlocks: Block[] = [];
  #letterBlocks: Block[] = [];
  #filtered: Partial<Record<FilterReason, number>> = {};
  #deadLettered: Partial<Record<DeadLetterReason, number>> = {};
  #letterOffsets: number[] = [];
  #notes: DeadLetterNote[] = [];
  #receivedCount = 0;
  #alreadyPresentCount = 0;
  #present: Readonly<Record<BlockTable, PresentWalk>> | undefined;
  #sealedBytes = 0;
  #maxTimestampUs = Number.NEGATIVE_INFINITY;

  constructor(options: ParseWorkerData) {
    this.#options = options;
    this.#letters = new DeadLetterBlock(new LetterSeal([options.letterKey]));
    this.#reader = new RecordBatchReader({ maxDecompressedBytes: options.maxBatchBytes });
  }

  parse(task: ParseTask): ParseResult {
    this.#begin(task);
    if (task.refusal?.isUndecoded === true) return this.#refuseUndecoded(task, task.refusal);
    const reader = this.#reader;
    const { start, length, firstOffset, endOffset } = task;
    reader.reset({ memory: new Uint8Array(task.memory), start, length, firstOffset, endOffset });
    while (reader.nextBatch()) {
      while (reader.next()) {
        if (reader.offset >= task.endOffset) continue;
        if (this.#isFull(task)) return this.#finish(reader.offset);
        this.#record(task);
      }
      if (reader.fault !== null) this.#fault(reader.fault, task);
    }
    return this.#finish(task.endOffset);
  }

  #begin(task: ParseTask): void {
    this.#task = task;
    this.#logBlocks = [];
    this.#letterBlocks = [];
    this.#filtered = {};
    this.#deadLettered = {};
    this.#letterOffsets = [];
    this.#notes = [];
    this.#receivedCount = 0;
    this.#alreadyPresentCount = 0;
    this.#present = task.present && {
      logs: new PresentWalk(task.present.logs),
      dead_letters: new PresentWalk(task.present.dead_letters),
    };
    this.#sealedBytes = 0;
    this.#maxTimestampUs = Number.NEGATIVE_INFINITY;
    this.#parser.reset();
    this.#resetBlock(task);
    this.#letters.reset(task);
  }

  #resetBlock({ source, partition }: ParseTask): void {
    const retentionDays = this.#options.defaultRetentionDays;
    this.#block.reset({ source, partition, retentionDays, retentionClass: 0 });
  }

  #record(task: ParseTask): void {
    const reader = this.#reader;
    if (this.#isPoisonArmed) this.#checkPoison(task);
    const { offset, timestampMs } = reader;
    const recordTimeUs = timestampMs < 0 ? task.receivedUs : timestampMs * 1000;
    if (this.#isPresent('logs', offset, timestampMs < 0 ? undefined : recordTimeUs)) {
      return this.#countPresent(1);
    }
    if (task.refusal !== undefined) {
      return this.#refuse(task.refusal.reason, refusalDetail(task.refusal), recordTimeUs);
    }
    if (reader.valueIsNull) {
      this.#receivedCount++;
      return this.#filter('tombstone', 1);
    }
    const size = reader.valueEnd - reader.valueStart;
    if (size > this.#options.maxRecordBytes) {
      const detail = `the record has ${size} bytes, ${this.#options.maxRecordBytes} are allowed`;
      return this.#refuse('record_too_large', detail, recordTimeUs);
    }
    this.#block.beginRow(offset, recordTimeUs);
    const outcome = this.#parser.parse(reader.bytes, reader.valueStart, reader.valueEnd);
    if (outcome === 'event') return this.#event(offset, timestampMs < 0 ? undefined : recordTimeUs);
    this.#block.clearRow();
    if (isFilterReason(outcome)) {
      this.#receivedCount++;
      return this.#filter(outcome, 1);
    }
    this.#refuse(outcome, this.#parser.failureDetail, recordTimeUs);
  }

  /** Keeps the open row, unless the record is a letter: it may have been refused for more than what it says. */
  #event(offset: number, ownTimeUs: number | undefined): void {
    if (this.#isPresent('dead_letters', offset, ownTimeUs)) {
      this.#block.clearRow();
      return this.#countPresent(1);
    }
    this.#receivedCount++;
    this.#block.commitRow();
  }

  #isPresent(table: BlockTable, offset: number, ownTimeUs: number | undefined): boolean {
    if (this.#present === undefined) return false;
    return this.#present[table].has(offset, ownTimeUs === undefined ? undefined : clampRecordTime(ownTimeUs));
  }

  #countPresent(recordCount: number): void {
    this.#receivedCount += recordCount;
    this.#alreadyPresentCount += recordCount;
  }

  /** A record that was refused already is only copied, which is safe. */
  #checkPoison(task: ParseTask): void {
    const { bytes, valueStart, valueEnd } = this.#reader;
    if (task.refusal !== undefined) return;
    const value = Buffer.from(bytes.buffer, bytes.byteOffset + valueStart, valueEnd - valueStart);
    if (value.includes(POISON_MARK)) failpointSync('poison');
  }

  /** The current record as a dead letter. */
  #refuse(reason: DeadLetterReason, detail: string, recordTimeUs: number): void {
    const { bytes, valueStart: start, valueEnd: end, offset, timestampMs } = this.#reader;
    const range = { offset, toOffset: offset + 1, recordCount: 1, hasOwnTime: timestampMs >= 0 };
    this.#letter(reason, { ...range, content: 'record', recordTimeUs, detail, bytes, start, end });
  }

  /** A batch, or the rest of one, that cannot be read: one letter that stands for all its records in the range. */
  #fault(fault: BatchFault, task: ParseTask): void {
    if (fault.offset >= task.endOffset) return;
    const recordCount = Math.min(fault.recordCount, task.endOffset - fault.offset);
    const recordTimeUs = fault.timestampMs < 0 ? task.receivedUs : fault.timestampMs * 1000;
    const span = `records from offset ${fault.offset} to ${fault.lastOffset}`;
    const hasOwnTime = fault.timestampMs >= 0;
    const detail = `${span}: ${fault.detail}`;
    const toOffset = Math.max(fault.offset + 1, Math.min(fault.lastOffset + 1, task.endOffset));
    this.#letter(fault.reason, { ...fault, toOffset, recordTimeUs, hasOwnTime, recordCount, detail });
  }

  #letter(reason: DeadLetterReason, letter: Letter): void {
    if (this.#isPresent('dead_letters', letter.offset, letter.hasOwnTime ? letter.recordTimeUs : undefined)) {
      this.#countPresent(letter.recordCount);
    } else {
      this.#letters.add(reason, letter);
      this.#receivedCount += letter.recordCount;
      this.#deadLettered[reason] = (this.#deadLettered[reason] ?? 0) + letter.recordCount;
    }
    this.#letterOffsets.push(letter.offset);
    if (this.#notes.length >= MAX_NOTES) return;
    const { offset, detail } = letter;
    this.#notes.push({ offset, reason, detail, recordTimeUs: clampRecordTime(letter.recordTimeUs) });
  }

  #filter(reason: FilterReason, count: number): void {
    this.#filtered[reason] = (this.#filtered[reason] ?? 0) + count;
  }

  /** Seals what must be sealed; true when the task has made enough of it and is to be ended. */
  #isFull(task: ParseTask): boolean {
    if (this.#block.needsSeal) this.#sealBlock(task);
    if (this.#letters.needsSeal) this.#sealLetters();
    return this.#sealedBytes >= MAX_TASK_BYTES || this.#letterOffsets.length >= MAX_TASK_LETTERS;
  }

  /** One letter for the whole range, made without looking inside. */
  #refuseUndecoded(task: ParseTask, refusal: NonNullable<ParseTask['refusal']>): ParseResult {
    const { firstOffset: offset, endOffset: toOffset, start, length, receivedUs: recordTimeUs } = task;
    const bytes = new Uint8Array(task.memory);
    const range = { offset, toOffset, recordCount: toOffset - offset, recordTimeUs, hasOwnTime: false };
    const detail = refusalDetail(refusal);
    const payload = { bytes, start, end: start + length };
    this.#letter(refusal.reason, { ...range, content: 'batches', detail, ...payload });
    return this.#finish(toOffset);
  }

  #sealBlock(task: ParseTask): void {
    if (this.#block.rowCount === 0) return;
    this.#keep(this.#logBlocks, this.#block.finish());
    this.#maxTimestampUs = Math.max(this.#maxTimestampUs, this.#block.maxTimestampUs);
    this.#resetBlock(task);
  }

  #sealLetters(): void {
    if (this.#letters.rowCount === 0) return;
    this.#keep(this.#letterBlocks, this.#letters.finish());
    if (this.#task !== undefined) this.#letters.reset(this.#task);
  }

  #keep(blocks: Block[], block: Block): void {
    blocks.push(block);
    this.#sealedBytes += block.bytes.byteLength;
  }

  #finish(reachedOffset: number): ParseResult {
    const { controlCount } = this.#reader;
    if (controlCount > 0) this.#filter('control', controlCount);
    if (this.#task !== undefined) this.#sealBlock(this.#task);
    this.#sealLetters();
    this.#task = undefined;
    return {
      reachedOffset,
      logs: this.#logBlocks,
      deadLetters: this.#letterBlocks,
      receivedCount: this.#receivedCount + controlCount,
      alreadyPresentCount: this.#alreadyPresentCount,
      filtered: this.#filtered,
      deadLettered: this.#deadLettered,
      deadLetterOffsets: Float64Array.from(this.#letterOffsets),
      deadLetterNotes: this.#notes,
      slowPathCount: this.#parser.slowPathCount,
      maxTimestampUs: this.#maxTimestampUs,
    };
  }
}

function isFilterReason(outcome: Exclude<ParseOutcome, 'event'>): outcome is FilterReason {
  return outcome === 'blank' || outcome === 'tombstone' || outcome === 'control';
}
