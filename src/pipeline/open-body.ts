/**
 * A framed body of a direct source on its way into a lane: its offsets, what was said of its records, its answer.
 */
import { encodeEventId } from '../event/event-id.ts';
import type { BodyPlace, StoredOutcome } from './idempotency-port.ts';
import type { IngestKey, IngestOutcome, RejectedRecord } from './ingest-port.ts';
import type { DeadLetterNote, FramedBody } from './parse-protocol.ts';
import type { LaneKey } from './ports.ts';

/** Rejections of one body that are told one by one. */
export const MAX_LISTED_REJECTIONS = 1000;

/** A body as its source knows it before it is framed. */
export interface SubmittedBody {
  readonly key: IngestKey | undefined;
  readonly receivedMs: number;
  readonly answer: (outcome: IngestOutcome) => void;
}

export interface OpenBody extends BodyPlace, SubmittedBody {
  readonly framed: FramedBody;
  readonly notes: DeadLetterNote[];
  rejectedCount: number;
}

/** The bodies one behind the other, from `fromOffset` on. */
export function placeBodies(
  bodies: readonly SubmittedBody[],
  framed: readonly FramedBody[],
  fromOffset: number,
): OpenBody[] {
  let offset = fromOffset;
  return bodies.flatMap(({ key, receivedMs, answer }, i) => {
    const own = framed[i];
    if (own === undefined) return [];
    const start = offset;
    offset += own.recordCount;
    const place = { fromOffset: start, toOffset: offset, receivedMs };
    return [{ ...place, key, answer, framed: own, notes: [], rejectedCount: 0 }];
  });
}

/** The batches of the bodies that are `kept`, of those of `all` in their order. */
export function cutBatches(
  batches: ArrayBuffer,
  all: readonly OpenBody[],
  kept: readonly OpenBody[],
): ArrayBuffer {
  if (kept.length === all.length) return batches;
  const cut = new Uint8Array(kept.reduce((sum, { framed }) => sum + framed.batchBytes, 0));
  let [from, to] = [0, 0];
  for (const body of all) {
    const { batchBytes } = body.framed;
    if (kept.includes(body)) {
      cut.set(new Uint8Array(batches, from, batchBytes), to);
      to += batchBytes;
    }
    from += batchBytes;
  }
  return cut.buffer;
}

/** What is answered when every record of the body is stored. */
export function storedOutcome(body: OpenBody, { source, partition }: LaneKey): IngestOutcome {
  const { framed, notes, rejectedCount, fromOffset } = body;
  const rejected = notes.map(({ offset, reason, detail, recordTimeUs: timestampUs }): RejectedRecord => {
    const index = offset - fromOffset;
    return {
      line: framed.positions?.[index] ?? index + 1,
      code: reason,
      reason: detail,
      dead_letter_id: encodeEventId({ timestampUs, source, partition, offset }),
    };
  });
  return withOutOfScope(framed, {
    kind: 'stored',
    acceptedCount: framed.recordCount - rejectedCount,
    rejectedCount,
    rejected,
  });
}

/** What is answered for a body that gave no record. */
export function unframedOutcome(framed: FramedBody): IngestOutcome {
  const { error, refusal } = framed;
  if (refusal !== undefined) return { kind: 'failed', ...refusal };
  const rejected = error === undefined ? [] : [{ line: 1, code: error.reason, reason: error.detail }];
  const outcome = { kind: 'stored', acceptedCount: 0, rejectedCount: rejected.length, rejected } as const;
  return withOutOfScope(framed, outcome);
}

/** The records that never came to be stand in the answer like the others, in the order of the body. */
function withOutOfScope({ outOfScope }: FramedBody, outcome: StoredOutcome): StoredOutcome {
  if (outOfScope === undefined) return outcome;
  const reason = 'the service, host or environment is none that the sender may post for';
  const kept = outOfScope.positions.map((line): RejectedRecord => ({ line, code: 'out_of_scope', reason }));
  const rejected = [...outcome.rejected, ...kept].toSorted((a, b) => a.line - b.line);
  return {
    ...outcome,
    rejectedCount: outcome.rejectedCount + outOfScope.count,
    rejected: rejected.slice(0, MAX_LISTED_REJECTIONS),
    outOfScopeCount: outOfScope.count,
  };
}
