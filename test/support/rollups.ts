/**
 * The rollups against a recomputation from `logs`: what every test and the chaos suite's oracle mean by "equal".
 */
import type { Store } from '../../src/store/clickhouse-client.ts';

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
export interface Comparison {
  readonly groups: number;
  readonly unmatched: number;
  readonly different: number;
  readonly worst_sum: number;
  /** Keys of a group that differs, for people; empty when none does. */
  readonly example: string;
}

/** Sums of floats may differ by this, relatively. */
export const MAX_SUM_ERROR = 1e-9;

async function compare(
  store: Store,
  sides: { logs: string; rollup: string; keys: string; differs: string; sums: string },
) {
  const names = sides.keys.split(', ');
  const matched = names.map((name) => `a.${name} = b.${name}`).join(' AND ');
  const example = names
    .map((name) => `'${name}=', toString(if(a.present = 1, a.${name}, b.${name}))`)
    .join(`, ' ', `);
  const [row] = await store.query<Comparison>(
    `SELECT count() AS groups, countIf(a.present = 0 OR b.present = 0) AS unmatched,
       countIf(a.present = 1 AND b.present = 1 AND (${sides.differs})) AS different, max(${sides.sums}) AS worst_sum,
       anyIf(concat(${example}), a.present = 0 OR b.present = 0 OR (${sides.differs}) OR ${sides.sums} > ${MAX_SUM_ERROR}) AS example
     FROM (${sides.logs}) AS a FULL OUTER JOIN (${sides.rollup}) AS b ON ${matched}`,
    {},
    { settings: { join_use_nulls: 0 } },
  );
  return row;
}

/** Every group of the rollups of one resolution against a recomputation from `logs`. */
export async function compareRollups(
  store: Store,
  resolution: '1m' | '1h',
): Promise<{ readonly events: Comparison | undefined; readonly metrics: Comparison | undefined }> {
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
  return { events, metrics };
}
