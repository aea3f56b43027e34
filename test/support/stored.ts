/**
 * What a test may claim about what was stored: the produced checksum, the rollups against a recomputation from
 * `logs`, the ledger's balance (law 1), and the group's offsets in Kafka.
 */
import { expect } from 'vitest';
import type { ProductionAccount } from '../../src/commands/produce-loop.ts';
import { checksumQuery } from '../../src/produce/checksum.ts';
import type { Store } from '../../src/store/clickhouse-client.ts';
import { kafkaClient } from './kafka.ts';
import type { KindTopics } from './produce-events.ts';
import { compareRollups, MAX_SUM_ERROR } from './rollups.ts';

/** Everything produced is stored once, field for field. */
export async function expectChecksum(store: Store, account: ProductionAccount): Promise<void> {
  const { firstSeq, lastSeq, sentCount, checksum } = account;
  const query = checksumQuery({ firstSeq, lastSeq });
  const sql = `SELECT events, distinct_events, toString(checksum) AS checksum FROM (${query})`;
  const [stored] = await store.query(sql);
  expect(stored).toEqual({
    events: sentCount,
    distinct_events: sentCount,
    checksum: checksum.toString(),
  });
}

/** As many rows of each kind as were produced. */
export async function expectKindCounts(
  store: Store,
  account: ProductionAccount,
  topics: KindTopics,
): Promise<void> {
  const rows = await store.query<{ topic: string; events: number }>(
    `SELECT s.topic AS topic, count() AS events FROM logs INNER JOIN sources AS s ON s.number = logs.source
     GROUP BY topic`,
  );
  const byTopic = new Map(rows.map(({ topic, events }) => [topic, events]));
  const stored = [...topics].map(([kind, topic]) => [kind, byTopic.get(topic)]);
  expect(Object.fromEntries(stored)).toEqual(Object.fromEntries(account.byKind));
}

/** Every group of the rollups of one resolution against a recomputation from `logs`. */
export async function expectRollups(store: Store, resolution: '1m' | '1h'): Promise<void> {
  const { events, metrics } = await compareRollups(store, resolution);
  expect(events).toMatchObject({ unmatched: 0, different: 0 });
  expect(events?.groups).toBeGreaterThan(0);
  expect(metrics).toMatchObject({ unmatched: 0, different: 0 });
  expect(metrics?.groups).toBeGreaterThan(0);
  expect(metrics?.worst_sum).toBeLessThanOrEqual(MAX_SUM_ERROR);
}

export interface LedgerSum {
  readonly received: number;
  readonly stored: number;
  readonly filtered: number;
  readonly dead_lettered: number;
  readonly already_present: number;
}

/**
 * Law 1 by lane: what was received is what became of it, the stretches follow each other without gap or overlap,
 * and as many rows are in the tables as the ledger says. Answers the sums over all lanes.
 */
export async function expectBalancedLedger(store: Store): Promise<LedgerSum> {
  const lanes = await store.query<Record<string, number>>(
    `SELECT source, partition, sum(received) AS all, sum(stored) AS ok, sum(already_present) AS there,
       sum(arraySum(mapValues(filtered))) AS gone, sum(arraySum(mapValues(dead_lettered))) AS dead,
       max(to_offset) - min(from_offset) AS span, sum(to_offset - from_offset) AS covered
     FROM ledger FINAL GROUP BY source, partition`,
  );
  const [rowsOf, lettersOf] = [await countByLane(store, 'logs'), await countByLane(store, 'dead_letters')];
  const sum = { received: 0, stored: 0, filtered: 0, dead_lettered: 0, already_present: 0 };
  for (const { source, partition, all = 0, ok = 0, there = 0, gone = 0, dead = 0, span, covered } of lanes) {
    const lane = { source, partition };
    expect({ ...lane, received: all }).toEqual({ ...lane, received: ok + there + gone + dead });
    expect({ ...lane, covered }).toEqual({ ...lane, covered: span });
    const stored =
      (rowsOf.get(`${source}/${partition}`) ?? 0) + (lettersOf.get(`${source}/${partition}`) ?? 0);
    expect({ ...lane, stored: ok + dead + there }).toEqual({ ...lane, stored });
    sum.received += all;
    sum.stored += ok;
    sum.filtered += gone;
    sum.dead_lettered += dead;
    sum.already_present += there;
  }
  return sum;
}

async function countByLane(store: Store, table: 'logs' | 'dead_letters'): Promise<Map<string, number>> {
  const rows = await store.query<{ source: number; partition: number; rows: number }>(
    `SELECT source, partition, count() AS rows FROM ${table} GROUP BY source, partition`,
  );
  return new Map(rows.map((row) => [`${row.source}/${row.partition}`, row.rows]));
}

/** Offsets that the group committed and the ends of the partitions, as `topic/partition`. */
export async function groupOffsets(groupId: string, topics: readonly string[]) {
  const admin = kafkaClient().admin();
  await admin.connect();
  try {
    const committed: Record<string, number> = {};
    const ends: Record<string, number> = {};
    for (const topic of topics) {
      for (const { partition, offset } of await admin.fetchTopicOffsets(topic)) {
        // A partition without records has nothing to commit.
        if (Number(offset) > 0) ends[`${topic}/${partition}`] = Number(offset);
      }
    }
    for (const { topic, partitions } of await admin.fetchOffsets({ groupId, topics: [...topics] })) {
      for (const { partition, offset } of partitions) {
        if (Number(offset) >= 0) committed[`${topic}/${partition}`] = Number(offset);
      }
    }
    return { committed, ends };
  } finally {
    await admin.disconnect();
  }
}

/** Kafka itself says that the group has come to the end of every partition. */
export async function expectCommittedToEnd(groupId: string, topics: readonly string[]): Promise<void> {
  const { committed, ends } = await groupOffsets(groupId, topics);
  expect(Object.keys(ends).length).toBeGreaterThan(0);
  expect(committed).toEqual(ends);
}
