/**
 * Record batches of a stretch → blocks, around the records that are not to be parsed, and past those that cannot be.
 */
import { MillraceError } from '../errors.ts';
import type { DeadLetterReason } from '../event/reasons.ts';
import type { ParseResult, ParseTask } from '../pipeline/parse-protocol.ts';
import type { Parse, ReadBatches } from './ports.ts';

/** Reasons of letters that stand for a whole batch, or the rest of one. */
const BATCH_REASONS: ReadonlySet<DeadLetterReason> = new Set([
  'corrupt_batch',
  'unknown_codec',
  'decompression_failed',
  'unsupported_batch',
]);

export interface RangeWork {
  readonly source: number;
  readonly receivedUs: number;
  /** Offsets to be left out, ascending. */
  readonly heldOffsets: readonly number[];
  readonly parse: Parse;
}

/** Results in offset order; every record of the range that is not held is in exactly one. */
export async function* parseRange(read: ReadBatches, work: RangeWork): AsyncGenerator<ParseResult> {
  const { memory, partition, fromOffset, toOffset, spanning } = read;
  const task: ParseTask = {
    kind: 'parse',
    memory,
    start: 0,
    length: memory.byteLength,
    source: work.source,
    partition,
    firstOffset: fromOffset,
    endOffset: toOffset,
    receivedUs: work.receivedUs,
  };
  if (spanning === undefined) {
    yield* parseAround(task, work);
    return;
  }
  const { byteLength, lastOffset } = spanning;
  const endOffset = Math.min(lastOffset + 1, toOffset);
  // A batch that cannot be read belongs, as one letter, to the stretch in which it begins.
  for await (const result of parseAround({ ...task, length: byteLength, endOffset }, work)) {
    if (!isRestOfBatch(result, fromOffset)) yield result;
  }
  const rest = { start: byteLength, length: task.length - byteLength, firstOffset: endOffset };
  yield* parseAround({ ...task, ...rest }, work);
}

function isRestOfBatch({ deadLetterNotes }: ParseResult, fromOffset: number): boolean {
  const [note] = deadLetterNotes;
  return note !== undefined && note.offset === fromOffset && BATCH_REASONS.has(note.reason);
}

async function* parseAround(task: ParseTask, work: RangeWork): AsyncGenerator<ParseResult> {
  if (task.length === 0) return;
  let { firstOffset } = task;
  for (const endOffset of [...work.heldOffsets, task.endOffset]) {
    if (endOffset < firstOffset || endOffset > task.endOffset) continue;
    yield* parseToEnd({ ...task, firstOffset, endOffset }, work.parse);
    firstOffset = endOffset + 1;
  }
}

/** A result may stop short, when it has grown large enough. */
async function* parseToEnd(task: ParseTask, parse: Parse): AsyncGenerator<ParseResult> {
  let { firstOffset } = task;
  while (firstOffset < task.endOffset) {
    const results = await parseSafely({ ...task, firstOffset }, parse);
    yield* results;
    firstOffset = results.at(-1)?.reachedOffset ?? task.endOffset;
  }
}

/** A range that kills the worker is halved until the deadly record is alone; it becomes a letter when it kills again. */
async function parseSafely(task: ParseTask, parse: Parse): Promise<readonly ParseResult[]> {
  const { firstOffset, endOffset } = task;
  try {
    return [await parse(task)];
  } catch (error) {
    if (!(error instanceof MillraceError && error.code === 'thread_died')) throw error;
    if (endOffset - firstOffset > 1) {
      const middle = Math.floor((firstOffset + endOffset) / 2);
      return await parseSafely({ ...task, endOffset: middle }, parse);
    }
    if (task.refusal !== undefined) throw error;
    const again = await parse(task).catch(() => undefined);
    const refusal = { reason: 'poison_record', detail: error.message, isUndecoded: true } as const;
    return [again ?? (await parse({ ...task, refusal }))];
  }
}
