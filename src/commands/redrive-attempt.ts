/**
 * One dead letter through the same parser again, under its own coordinates and record time.
 */

import type { LetterRow } from '../api/letters/letter-sql.ts';
import { RecordBatchBuilder } from '../encode/record-batch-builder.ts';
import { MillraceError } from '../errors.ts';
import type { LetterContent } from '../event/columns.ts';
import type { DeadLetterReason } from '../event/reasons.ts';
import { BATCH_MAGIC, BatchLayout } from '../parse/record-batch-header.ts';
import type { ParsePool } from '../pipeline/parse-pool.ts';
import type { Block, DeadLetterNote, ParseResult, ParseTask } from '../pipeline/parse-protocol.ts';

/** What the letter's records have become. */
export interface Attempt {
  readonly row: LetterRow;
  readonly logs: readonly Block[];
  /** Letters of records of a batch that can be read now. */
  readonly letters: readonly Block[];
  /** Rows of `logs`, and those that were there before. */
  readonly storedCount: number;
  readonly filtered: Readonly<Record<string, number>>;
  readonly deadLettered: Readonly<Record<string, number>>;
  /** Set: it is a dead letter still, for this reason. */
  readonly stays?: { readonly reason: string; readonly detail: string };
}

export interface AttemptInput {
  readonly row: LetterRow;
  readonly bytes: Uint8Array;
  /** Offsets of the letter's range that `logs` holds, ascending. */
  readonly present: readonly number[];
}

/** Reasons of a batch as a whole. */
const BATCH_REASONS: ReadonlySet<string> = new Set<DeadLetterReason>([
  'corrupt_batch',
  'unknown_codec',
  'decompression_failed',
  'unsupported_batch',
]);

const builder = new RecordBatchBuilder();

/**
 * Throws `unprocessable` for a letter that cannot be read by any parser, `thread_died` when it ended the worker.
 */
export async function attemptLetter(input: AttemptInput, pool: ParsePool): Promise<Attempt> {
  const { row, bytes, present } = input;
  const content = contentOf(row, bytes);
  const memory = content === 'record' ? asBatch(row, bytes) : shared(bytes);
  const results: ParseResult[] = [];
  for (const gap of gapsBetween(row, present)) {
    for (let at = gap.from; at < gap.to; ) {
      const result = await pool.parse(taskOf(row, memory, { from: at, to: gap.to }));
      results.push(result);
      at = result.reachedOffset;
    }
  }
  const logs = results.flatMap((result) => result.logs);
  const attempt = {
    row,
    logs,
    letters: results.flatMap((result) => result.deadLetters),
    storedCount: logs.reduce((sum, block) => sum + block.rowCount, present.length),
    filtered: sumOf(results.map((result) => result.filtered)),
    deadLettered: sumOf(results.map((result) => result.deadLettered)),
  };
  const [note] = results.flatMap((result) => result.deadLetterNotes);
  return note === undefined || !isStill(content, attempt) ? attempt : { ...attempt, stays: reasonOf(note) };
}

/** Whether nothing has become of the letter: its record was refused again, or its batch as a whole. */
function isStill(
  content: LetterContent,
  { storedCount, filtered, deadLettered }: Omit<Attempt, 'stays'>,
): boolean {
  if (content === 'record') return true;
  const isUntouched = storedCount === 0 && Object.keys(filtered).length === 0;
  return isUntouched && Object.keys(deadLettered).every((reason) => BATCH_REASONS.has(reason));
}

function reasonOf({ reason, detail }: DeadLetterNote) {
  return { reason, detail };
}

function contentOf(row: LetterRow, bytes: Uint8Array): LetterContent {
  if (row.content === 'records') {
    throw unreadable('It is the rest of a broken batch, of which nothing can be read.');
  }
  if (row.content !== '') return row.content;
  if (bytes.length < BatchLayout.records || bytes[BatchLayout.magic] !== BATCH_MAGIC) return 'record';
  throw unreadable('It is a batch from an earlier version, which did not keep its range.');
}

function unreadable(message: string): MillraceError {
  return new MillraceError('unprocessable', message);
}

/** A batch without a time of its own: the task's stands in, exact to the microsecond. */
function asBatch({ offset }: LetterRow, bytes: Uint8Array): SharedArrayBuffer {
  builder.reset(-1);
  builder.append(bytes, 0, bytes.length);
  return shared(builder.finish(offset));
}

function shared(bytes: Uint8Array): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(bytes.length);
  new Uint8Array(memory).set(bytes);
  return memory;
}

interface Gap {
  readonly from: number;
  readonly to: number;
}

function gapsBetween({ offset, to_offset: end }: LetterRow, present: readonly number[]): Gap[] {
  const gaps: Gap[] = [];
  let from = offset;
  for (const stop of [...present, end]) {
    if (from < stop) gaps.push({ from, to: stop });
    from = stop + 1;
  }
  return gaps;
}

function taskOf(row: LetterRow, memory: SharedArrayBuffer, gap: Gap): ParseTask {
  return {
    kind: 'parse',
    memory,
    start: 0,
    length: memory.byteLength,
    source: row.source,
    partition: row.partition,
    firstOffset: gap.from,
    endOffset: gap.to,
    receivedUs: row.record_us,
  };
}

function sumOf(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const count of counts) {
    for (const [name, value] of Object.entries(count)) sum[name] = (sum[name] ?? 0) + value;
  }
  return sum;
}
