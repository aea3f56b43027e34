/**
 * The work of `millrace replay`, put together: Kafka's reader, parse workers and the store.
 */
import { setMaxListeners } from 'node:events';
import { readRanges } from '../bus/range-reader.ts';
import type { Config } from '../config.ts';
import { createParsePool } from '../pipeline/parse-pool.ts';
import { decompressedLimit } from '../pipeline/pipeline.ts';
import type { TopicView } from '../replay/ports.ts';
import { type ReplayTally, replay } from '../replay/run.ts';
import type { Store } from '../store/clickhouse-client.ts';
import { type ReplayStage, withReplayStore } from '../store/replay-store.ts';
import type { Telemetry } from '../telemetry.ts';
import { DEFAULT_RETENTION_DAYS } from './command-store.ts';
import { kafkaConnection } from './kafka-connection.ts';
import { checkedLetterKeys } from './letter-keys.ts';
import { writeNote } from './output.ts';
import { startProgress } from './progress.ts';
import { offsetCountOf, type ReplayPlan } from './replay-report.ts';
import { listenForStop } from './stop-signal.ts';

export interface ReplayContext {
  readonly config: Config;
  readonly telemetry: Telemetry;
  readonly store: Store;
}

export interface ReplayJob {
  readonly source: number;
  readonly topicId: string;
  readonly plan: ReplayPlan;
  readonly view: TopicView;
}

const STAGES: Readonly<Record<ReplayStage, string>> = {
  finishing_earlier: 'An earlier replay was cut off: finishing it first.',
  repairing: 'All is stored. Rollups are computed anew; programs that store wait for it.',
  replacing: 'All is read. The new rows take their place; programs that store wait for it.',
};

/** Ctrl-C ends the reading; what was decided by then is finished. */
export async function runReplay(
  { config, telemetry, store }: ReplayContext,
  { source, topicId, plan, view }: ReplayJob,
  isJson: boolean,
): Promise<ReplayTally> {
  const { topic, mode } = plan;
  const ranges = plan.ranges.filter(({ fromOffset, toOffset }) => fromOffset < toOffset);
  const ends = new Map(view.partitions.map(({ partition, endOffset }) => [partition, endOffset]));
  const connection = kafkaConnection(config, 'millrace-replay');
  const [letterKey] = await checkedLetterKeys(config, store);
  const pool = createParsePool(1, {
    maxRecordBytes: config.maxRecordBytes,
    maxBatchBytes: decompressedLimit(config.memoryBudgetBytes),
    defaultRetentionDays: DEFAULT_RETENTION_DAYS,
    letterKey,
  });
  const stop = listenForStop();
  setMaxListeners(0, stop.signal);
  const progress = startProgress({ unit: 'offsets', total: offsetCountOf(ranges), isSilent: isJson });
  const onStage = (stage: ReplayStage): void => {
    if (!isJson) writeNote(STAGES[stage]);
  };
  const lanes = ranges.map(({ partition, fromOffset, toOffset }) => ({
    source,
    partition,
    fromOffset,
    toOffset,
  }));
  try {
    return await withReplayStore(store, { mode, ranges: lanes, onStage, telemetry }, async (chunks) => {
      // Better than taking the first records for what kills workers that cannot even start.
      await pool.frame({ kind: 'frame', bodies: [] });
      const tally = await replay(
        {
          read: (wanted, onBatches) =>
            readRanges(
              { ...connection, topic, topicId, ranges: wanted, ends, signal: stop.signal },
              onBatches,
              telemetry,
            ),
          parse: (task) => pool.parse(task),
          store: chunks,
        },
        { source, ranges, receivedUs: Date.now() * 1000, onProgress: (count) => progress.add(count) },
      );
      progress.finish();
      return tally;
    });
  } finally {
    progress.finish();
    stop.release();
    await pool.stop();
  }
}
