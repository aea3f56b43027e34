/**
 * What a replay must know of the store before it begins: numbers of sources, and what is stored of a stretch now.
 */
import type { LaneRange } from '../replay/ports.ts';
import type { Store } from './clickhouse-client.ts';
import { rangesCondition } from './replay-tables.ts';

export interface KnownTopic {
  readonly number: number;
  /** Kafka's id of it; empty: not known. */
  readonly topicId: string;
}

/** A Kafka topic as it was processed last, undefined when it never was. Made again, it has a number of its own. */
export async function findKafkaSource(
  store: Store,
  { cluster, topic }: { readonly cluster: string; readonly topic: string },
): Promise<KnownTopic | undefined> {
  const rows = await store.query<KnownTopic>(
    `SELECT number, max(topic_id) AS topicId FROM sources
     WHERE kind = 'kafka' AND cluster = {cluster:String} AND topic = {topic:String}
     GROUP BY number ORDER BY number DESC LIMIT 1`,
    { cluster, topic },
  );
  return rows[0];
}

export interface StoredCounts {
  readonly partition: number;
  readonly rowCount: number;
  readonly letterCount: number;
}

/** Rows and letters stored of each range, in their order. */
export async function countStored(store: Store, ranges: readonly LaneRange[]): Promise<StoredCounts[]> {
  const where = rangesCondition(ranges);
  const rows = await store.query<StoredCounts>(
    `SELECT partition, countIf(isRow) AS rowCount, countIf(NOT isRow) AS letterCount FROM (
       SELECT partition, true AS isRow FROM logs WHERE ${where}
       UNION ALL SELECT partition, false AS isRow FROM dead_letters WHERE ${where})
     GROUP BY partition`,
  );
  const byPartition = new Map(rows.map((row) => [row.partition, row]));
  return ranges.map(
    ({ partition }) => byPartition.get(partition) ?? { partition, rowCount: 0, letterCount: 0 },
  );
}

/** A partition of table `logs` that `replace` writes anew. */
export interface RewrittenPartition {
  readonly day: string;
  readonly retentionDays: number;
  readonly rowCount: number;
  readonly bytes: number;
}

/** Those that hold rows of the ranges now; parsing may move rows to further days. */
export async function readRewritten(
  store: Store,
  ranges: readonly LaneRange[],
): Promise<RewrittenPartition[]> {
  const rows = await store.query<{ id: string; rowCount: number; bytes: number }>(
    `SELECT partition_id AS id, sum(rows) AS rowCount, sum(bytes_on_disk) AS bytes FROM system.parts
     WHERE database = currentDatabase() AND table = 'logs' AND active
       AND partition_id IN (SELECT DISTINCT _partition_id FROM logs WHERE ${rangesCondition(ranges)})
     GROUP BY id ORDER BY id`,
  );
  return rows.map(({ id, rowCount, bytes }) => {
    // `20260131-30`: day and retention.
    const [day = '', retention = ''] = id.split('-');
    const date = `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}`;
    return { day: date, retentionDays: Number(retention), rowCount, bytes };
  });
}
