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

const EVENT_KEYS = 'environment, service, host, level, source, partition';
const METRIC_KEYS = 'environment, service, host, source, partition';

const EVENT_VALUES = { count: 'count()', rolled: 'sum(event_count)' };

/** Counts, minima and maxima are compared exactly, sums to 1e-9, quantiles as their merged states give them. */
const METRICS: readonly (readonly [name: string, column: string])[] = [
  ['cpu', 'cpu_usage'],
  ['memory', 'memory_percentage'],
  ['used', 'memory_used'],
];
const COUNTERS: readonly (readonly [name: string, column: string])[] = [
  ['rx', 'network_rx_bytes'],
  ['tx', 'network_tx_bytes'],
];
const LEVELS = '0.01, 0.5, 0.95, 0.99';

function metricValues(from: 'logs' | 'rollup'): string {
  const isRaw = from === 'logs';
  const plain = METRICS.map(([name, column]) =>
    isRaw
      ? `count(${column}) AS ${name}_n, sum(toFloat64(ifNull(${column}, 0))) AS ${name}_s, min(${column}) AS ${name}_lo,
         max(${column}) AS ${name}_hi, quantilesDD(${LEVELS})(${column}) AS ${name}_q`
      : `sum(${name}_count) AS ${name}_n, sum(${name}_sum) AS ${name}_s, min(${name}_min) AS ${name}_lo,
         max(${name}_max) AS ${name}_hi, quantilesDDMerge(${LEVELS})(${name}_quantiles) AS ${name}_q`,
  );
  const counters = COUNTERS.map(([name, column]) => {
    const sample = `(timestamp, offset, assumeNotNull(${column}))`;
    return isRaw
      ? `count(${column}) AS ${name}_n, minIf(${sample}, isNotNull(${column})) AS ${name}_first,
         maxIf(${sample}, isNotNull(${column})) AS ${name}_last`
      : `sum(${name}_count) AS ${name}_n, min(r.${name}_first) AS ${name}_first, max(r.${name}_last) AS ${name}_last`;
  });
  return [...plain, ...counters].join(', ');
}

/** `key` sums the differences; every one must be 0, and the number of groups must be above 0. */
interface Comparison {
  readonly groups: number;
  readonly unmatched: number;
  readonly different: number;
  readonly worst_sum: number;
}

async function compare(
  store: Store,
  sides: { logs: string; rollup: string; keys: string; differs: string; sums: string },
) {
  const names = sides.keys.split(', ');
  const matched = names.map((name) => `a.${name} = b.${name}`).join(' AND ');
  const [row] = await store.query<Comparison>(
    `SELECT count() AS groups, countIf(a.present = 0 OR b.present = 0) AS unmatched,
       countIf(a.present = 1 AND b.present = 1 AND (${sides.differs})) AS different, max(${sides.sums}) AS worst_sum
     FROM (${sides.logs}) AS a FULL OUTER JOIN (${sides.rollup}) AS b ON ${matched}`,
    {},
    { settings: { join_use_nulls: 0 } },
  );
  return row;
}

/** Every group of the rollups of one resolution against a recomputation from `logs`; answers the number of groups. */
export async function expectRollups(store: Store, resolution: '1m' | '1h'): Promise<void> {
  const start = resolution === '1m' ? 'toStartOfMinute' : 'toStartOfHour';
  const events = await compare(store, {
    keys: `bucket, ${EVENT_KEYS}`,
    logs: `SELECT 1 AS present, ${start}(timestamp) AS bucket, ${EVENT_KEYS}, ${EVENT_VALUES.count} AS n
           FROM logs GROUP BY bucket, ${EVENT_KEYS}`,
    rollup: `SELECT 1 AS present, bucket, ${EVENT_KEYS}, ${EVENT_VALUES.rolled} AS n
             FROM events_${resolution} GROUP BY bucket, ${EVENT_KEYS}`,
    differs: 'a.n != b.n',
    sums: 'toFloat64(0)',
  });
  expect(events).toMatchObject({ unmatched: 0, different: 0 });
  expect(events?.groups).toBeGreaterThan(0);

  const exact = [
    ...METRICS.flatMap(([name]) => ['n', 'lo', 'hi', 'q'].map((part) => `${name}_${part}`)),
    ...COUNTERS.flatMap(([name]) => [`${name}_n`, `${name}_first`, `${name}_last`]),
  ];
  const sums = METRICS.map(([name]) => `abs(a.${name}_s - b.${name}_s) / greatest(abs(a.${name}_s), 1e-300)`);
  const metrics = await compare(store, {
    keys: `bucket, ${METRIC_KEYS}`,
    logs: `SELECT 1 AS present, ${start}(timestamp) AS bucket, ${METRIC_KEYS}, ${metricValues('logs')} FROM logs
           WHERE cpu_usage IS NOT NULL OR memory_percentage IS NOT NULL OR memory_used IS NOT NULL
             OR network_rx_bytes IS NOT NULL OR network_tx_bytes IS NOT NULL GROUP BY bucket, ${METRIC_KEYS}`,
    rollup: `SELECT 1 AS present, bucket, ${METRIC_KEYS}, ${metricValues('rollup')}
             FROM host_metrics_${resolution} AS r GROUP BY bucket, ${METRIC_KEYS}`,
    differs: exact.map((name) => `NOT (a.${name} <=> b.${name})`).join(' OR '),
    sums: `greatest(${sums.join(', ')})`,
  });
  expect(metrics).toMatchObject({ unmatched: 0, different: 0 });
  expect(metrics?.groups).toBeGreaterThan(0);
  expect(metrics?.worst_sum).toBeLessThanOrEqual(1e-9);
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
    const stored = (rowsOf.get(`${source}/${partition}`) ?? 0) + (lettersOf.get(`${source}/${partition}`) ?? 0);
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
