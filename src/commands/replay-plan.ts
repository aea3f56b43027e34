/**
 * The plan of `millrace replay`: what Kafka has, what was processed, and what is stored of it now.
 */
import type { Config } from '../config.ts';
import { MillraceError, quoteValue } from '../errors.ts';
import { type LedgerEnds, planRanges, type ReplayRequest } from '../replay/plan.ts';
import type { LaneRange, ReplayMode, TopicView } from '../replay/ports.ts';
import type { Store } from '../store/clickhouse-client.ts';
import { readLedgerEnds } from '../store/ledger-sums.ts';
import { countStored, findKafkaSource, readRewritten } from '../store/replay-facts.ts';
import type { Telemetry } from '../telemetry.ts';
import { kafkaConnection } from './kafka-connection.ts';
import type { ReplayPlan } from './replay-report.ts';

/** Throws `not_found` for a topic that Kafka does not have. */
export async function viewTopic(
  config: Config,
  options: ReplayRequest,
  telemetry: Telemetry,
): Promise<TopicView> {
  const { topic, from, to } = options;
  const connection = kafkaConnection(config, 'millrace-replay');
  const timesMs = [from, to].flatMap((point) => (point?.kind === 'time' ? [point.timeMs] : []));
  const { readTopicView } = await import('../bus/topic-view.ts');
  return await readTopicView({ ...connection, topic, timesMs }, telemetry);
}

export interface PlannedReplay {
  /** Number of the topic in the store. */
  readonly source: number;
  /** Kafka's id of the topic that was processed; empty: not known. */
  readonly topicId: string;
  readonly plan: ReplayPlan;
}

/** Throws `not_found` for a topic that was never processed, and what `planRanges` throws. */
export async function makePlan(
  store: Store,
  view: TopicView,
  options: ReplayRequest & { readonly mode: ReplayMode },
): Promise<PlannedReplay> {
  const { topic, mode } = options;
  const known = await findKafkaSource(store, { cluster: view.clusterId, topic });
  if (known === undefined) {
    throw new MillraceError(
      'not_found',
      `Topic ${quoteValue(topic)} was never processed into this database.`,
    );
  }
  const { number: source, topicId } = known;
  const ranges = planRanges(options, view, await ledgerEnds(store, source, view));
  const lanes = ranges.map((range): LaneRange => ({ ...range, source }));
  const stored = await countStored(store, lanes);
  const rewritten = mode === 'replace' ? await readRewritten(store, lanes) : [];
  return { source, topicId, plan: { topic, mode, ranges, stored, rewritten } };
}

/** Partitions without a ledger are absent. */
async function ledgerEnds(store: Store, source: number, { partitions }: TopicView): Promise<LedgerEnds> {
  const lanes = partitions.map(({ partition }) => ({ source, partition }));
  const ends = await readLedgerEnds(store, lanes);
  return new Map(ends.map(({ partition, end }) => [partition, end]));
}
