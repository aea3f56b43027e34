/**
 * Turns bodies of direct sources into record batches: the framer that decides what a record is.
 * Runs inside parse workers, over the shared memory that the socket's thread filled.
 */
import { RecordBatchBuilder } from '../encode/record-batch-builder.ts';
import type { FrameBody, FramedBody, FrameResult, FrameTask } from '../pipeline/parse-protocol.ts';
import { BodyBatches } from './body-batches.ts';
import type { BodySpan } from './body-span.ts';
import { appendJson } from './framing-json.ts';
import { appendLines } from './framing-lines.ts';

/** One per thread, kept for its memory. */
const builder = new RecordBatchBuilder();
const batches = new BodyBatches(builder);

/**
 * Frames every body of the task. A body gives batches of at most 10,000 records, or none when it has no records or could not be framed;
 * base offsets start at 0 and go on from body to body. `batches` is fresh memory, to be moved.
 */
export function frameBodies(task: FrameTask): FrameResult {
  builder.reset(0);
  let recordCount = 0;
  const bodies: FramedBody[] = [];
  for (const body of task.bodies) {
    batches.begin(recordCount, body.receivedMs);
    const startBytes = builder.finishedBytes;
    const framed = frameBody(body);
    if (framed.error === undefined) batches.finish();
    else batches.drop();
    bodies.push({ ...framed, batchBytes: builder.finishedBytes - startBytes });
    recordCount += framed.recordCount;
  }
  return { batches: builder.takeFinished(), recordCount, bodies };
}

function frameBody(body: FrameBody): Omit<FramedBody, 'batchBytes'> {
  const span = withoutByteOrderMark(body);
  if (body.format === 'json') {
    const problem = appendJson(span, batches);
    if (problem === undefined) return { recordCount: batches.recordCount };
    return { recordCount: 0, error: { reason: 'malformed_json', detail: problem } };
  }
  const positions = appendLines(span, batches);
  const { recordCount } = batches;
  return positions === undefined ? { recordCount } : { recordCount, positions };
}

function withoutByteOrderMark(body: FrameBody): BodySpan {
  const bytes = new Uint8Array(body.memory);
  const { start } = body;
  const end = Math.min(start + body.length, bytes.length);
  const hasMark =
    end - start >= 3 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf;
  return { bytes, start: hasMark ? start + 3 : start, end };
}
