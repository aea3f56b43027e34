/** What kafkajs hands over per partition, in the words of the pipeline. */
import type { EachBatchPayload } from 'kafkajs';
import { errorMessage, MillraceError } from '../errors.ts';
import type { Delivery, OffsetCommit } from '../pipeline/ports.ts';
import { forgetLost, lostStretch } from './kafkajs-repairs.ts';
import { commitMetadata } from './kafkajs-topic-ids.ts';
import type { TopicIds } from './topic-metadata.ts';
import { UndecodedBatch } from './undecoded-batches.ts';

/** What one fetch brought for one partition. */
export interface FetchedPartition {
  readonly delivery: Omit<Delivery, 'epoch'>;
  /** Rejects when the member must rejoin. */
  readonly heartbeat: () => Promise<void>;
  /** Moves the fetch position past this delivery. */
  readonly resolve: () => void;
  /** Fetches nothing more of this partition as long as the session lasts. */
  readonly pause: () => void;
  /** One attempt under the assignment of now; `lane_closed` when the group has gone on without this member. */
  readonly commit: (offsets: readonly OffsetCommit[]) => Promise<void>;
}

/** Answers of the broker that say: another generation of the group has begun, or this member is out of it. */
const FENCED = new Set([
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'REBALANCE_IN_PROGRESS',
  'FENCED_INSTANCE_ID',
]);

export function toFetched(payload: EachBatchPayload, ids: TopicIds): FetchedPartition {
  const { batch } = payload;
  const batches = batch.messages.map(asUndecoded);
  const last = batches.at(-1);
  // kafkajs's type leaves the field out.
  const { fetchedOffset, rawMessages } = batch as typeof batch & {
    readonly fetchedOffset: string;
    /** As `fetch-by-id.ts` made it; other fetches do not say where the log starts. */
    readonly rawMessages?: { readonly logStartOffset?: number };
  };
  const logStartOffset = rawMessages?.logStartOffset;
  const fetchOffset = Number(fetchedOffset);
  const lost = lostStretch(batch);
  return {
    delivery: {
      topic: batch.topic,
      partition: batch.partition,
      // What was passed since then held no records.
      fetchOffset: lost === undefined ? fetchOffset : Math.min(fetchOffset, lost.to),
      batches,
      highWatermark: Number(batch.highWatermark),
      ...(lost === undefined ? {} : { lostFromOffset: lost.from }),
      ...(logStartOffset === undefined ? {} : { logStartOffset }),
    },
    heartbeat: () => payload.heartbeat(),
    pause: () => {
      payload.pause();
    },
    resolve: () => {
      forgetLost(batch);
      // kafkajs moves past control batches behind the last one by itself.
      if (last !== undefined) payload.resolveOffset(last.offset);
    },
    // Not consumer.commitOffsets: that one retries, and may then commit under a later generation.
    commit: (offsets) => commitOnce(payload, { offsets, ids }),
  };
}

function asUndecoded(message: unknown): UndecodedBatch {
  if (message instanceof UndecodedBatch) return message;
  throw new MillraceError('platform_unsupported', 'Cannot read Kafka: the broker is older than 0.11.');
}

async function commitOnce(
  payload: EachBatchPayload,
  { offsets, ids }: { readonly offsets: readonly OffsetCommit[]; readonly ids: TopicIds },
): Promise<void> {
  const topics = [...new Set(offsets.map(({ topic }) => topic))].map((topic) => ({
    topic,
    partitions: offsets
      .filter((offset) => offset.topic === topic)
      // kafkajs passes the metadata on although its type leaves it out.
      .map(({ partition, offset }) => ({
        partition,
        offset: String(offset),
        metadata: commitMetadata(ids.get(topic)),
      })),
  }));
  try {
    await payload.commitOffsetsIfNecessary({ topics });
  } catch (error) {
    const { type } = error as { readonly type?: unknown };
    const code = typeof type === 'string' && FENCED.has(type) ? 'lane_closed' : 'bus_unavailable';
    throw new MillraceError(code, `Cannot commit offsets: ${errorMessage(error)}`, { cause: error });
  }
}
