/**
 * Turns bodies of direct sources into record batches: the framer that decides what a record is.
 * Runs inside parse workers, over the shared memory that the socket's thread filled.
 */
import { RecordBatchBuilder } from '../encode/record-batch-builder.ts';
import { MillraceError } from '../errors.ts';
import type { FrameBody, FramedBody, FrameResult, FrameTask } from '../pipeline/parse-protocol.ts';
import { BodyBatches, type RecordFilter } from './body-batches.ts';
import type { BodySpan } from './body-span.ts';
import { appendJson } from './framing-json.ts';
import { appendLines } from './framing-lines.ts';
import { ScopeCheck } from './scope-check.ts';

/** One per thread, kept for its memory. */
const builder = new RecordBatchBuilder();
const batches = new BodyBatches(builder);
let scopeCheck: ScopeCheck | undefined;

/**
 * Frames every body of the task. A body gives batches of at most 10,000 records, or none when it has no records, was
 * refused or could not be framed;
 * base offsets start at 0 and go on from body to body. `batches` is fresh memory, to be moved.
 */
export function frameBodies(task: FrameTask): FrameResult {
  builder.reset(0);
  let recordCount = 0;
  const bodies: FramedBody[] = [];
  for (const body of task.bodies) {
    batches.begin(recordCount, body.receivedMs, filterOf(body));
    const startBytes = builder.finishedBytes;
    const one = frameBody(body);
    if (one.error === undefined && one.refusal === undefined) batches.finish();
    else batches.drop();
    bodies.push({ ...one, batchBytes: builder.finishedBytes - startBytes });
    recordCount += one.recordCount;
  }
  return { batches: builder.takeFinished(), recordCount, bodies };
}

function frameBody(body: FrameBody): Omit<FramedBody, 'batchBytes'> {
  try {
    return frameRecords(body);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return { recordCount: 0, refusal: { code: error.code, message: error.message } };
  }
}

function frameRecords(body: FrameBody): Omit<FramedBody, 'batchBytes'> {
  const span = withoutByteOrderMark(body);
  if (body.format === 'json') {
    const problem = appendJson(span, batches);
    if (problem === undefined) return framed(undefined);
    return { recordCount: 0, error: { reason: 'malformed_json', detail: problem } };
  }
  return framed(appendLines(span, batches));
}

/** The scope of the sender, asked record by record. */
function filterOf({ scope }: FrameBody): RecordFilter | undefined {
  if (scope === undefined) return undefined;
  const check = (scopeCheck ??= new ScopeCheck());
  check.begin();
  return (source, start, end) => check.accepts(source, { start, end }, scope);
}

/** `appended` are the positions of all records, those that were refused too. */
function framed(appended: Uint32Array | undefined): Omit<FramedBody, 'batchBytes'> {
  const { recordCount, refusedCount: count } = batches;
  if (count === 0) return appended === undefined ? { recordCount } : { recordCount, positions: appended };
  const positionAt = (index: number): number => appended?.[index] ?? index + 1;
  const outOfScope = { count, positions: batches.refused.map(positionAt) };
  return { recordCount, positions: batches.kept.map(positionAt), outOfScope };
}

function withoutByteOrderMark(body: FrameBody): BodySpan {
  const bytes = new Uint8Array(body.memory);
  const { start } = body;
  const end = Math.min(start + body.length, bytes.length);
  const hasMark =
    end - start >= 3 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf;
  return { bytes, start: hasMark ? start + 3 : start, end };
}
