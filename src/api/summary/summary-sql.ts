/**
 * The statements behind `/metrics/summary`. They read rollups only, so their cost does not grow with the events.
 * Each reads the range and the period of equal length before it, in one pass.
 */
import type { Statement } from '../logs/logs-sql.ts';
import { addScope, type Scope } from '../scope.ts';
import { SqlConditions } from '../sql-conditions.ts';
import type { SummaryRange } from './summary-range.ts';

/** What a summary is about: the filter of the request, within what its sender may see. */
export interface SummaryScope {
  readonly query: URLSearchParams;
  readonly scope: Scope;
}

const FILTER_NAMES = ['host', 'service', 'environment'] as const;

/** Must equal the parameters of the states in the rollups. */
const QUANTILES = '0.01, 0.5, 0.95, 0.99';
/** Counter samples further apart than this say nothing about the rate in between. */
const MAX_GAP_S = 900;

/** Conditions on a rollup; `includesPrevious` starts one range length earlier. */
function rollupConditions(
  about: SummaryScope,
  range: SummaryRange,
  includesPrevious: boolean,
): SqlConditions {
  const conditions = new SqlConditions();
  const startS = includesPrevious ? Math.max(0, 2 * range.fromS - range.toS) : range.fromS;
  conditions.add(`bucket >= toDateTime(?1, 'UTC')`, ['Int64', startS]);
  conditions.add(`bucket < toDateTime(?1, 'UTC')`, ['Int64', range.toS]);
  addScope(conditions, about.scope);
  for (const name of FILTER_NAMES) {
    const values = about.query.getAll(name);
    if (values.length > 0) conditions.add(`${name} IN ?1`, ['Array(String)', values]);
  }
  return conditions;
}

/** Start of the interval of a bucket; 0 for all that lies before the range. */
const SLOT = `toUInt32(if(is_current, intDiv(toUnixTimestamp(bucket), {interval:UInt32}) * {interval:UInt32}, 0))`;
const IS_CURRENT = `toUnixTimestamp(bucket) >= {from:UInt32} AS is_current`;
const PERIODS = 'GROUPING SETS ((is_current, slot), (is_current))';

function rangeParams({ fromS, intervalS }: SummaryRange): Record<string, unknown> {
  return { from: fromS, interval: intervalS };
}

function metricColumns(prefix: string): string {
  return `
    sum(${prefix}_count) AS ${prefix}_samples,
    if(${prefix}_samples = 0, NULL, sum(${prefix}_sum) / ${prefix}_samples) AS ${prefix}_avg,
    min(${prefix}_min) AS ${prefix}_least,
    max(${prefix}_max) AS ${prefix}_most,
    quantilesDDMerge(${QUANTILES})(${prefix}_quantiles) AS ${prefix}_marks`;
}

/** CPU and memory: one row per interval, and one each for the range and for the period before it. */
export function metricsStatement(about: SummaryScope, range: SummaryRange): Statement {
  const conditions = rollupConditions(about, range, true);
  return {
    sql: `
SELECT is_current, slot, grouping(slot) AS is_total,
${['cpu', 'memory', 'used'].map(metricColumns).join(',')}
FROM (
    SELECT *, ${IS_CURRENT}, ${SLOT} AS slot
    FROM host_metrics_${range.rollup}
    WHERE ${conditions.sql})
GROUP BY ${PERIODS}`,
    params: { ...conditions.params, ...rangeParams(range) },
  };
}

function counterSamples(direction: 'rx' | 'tx', range: SummaryRange, where: string): string {
  return `
    SELECT '${direction}' AS direction, host, bucket,
        min(${direction}_first) AS first_sample, max(${direction}_last) AS last_sample
    FROM host_metrics_${range.rollup}
    WHERE ${where} AND ${direction}_count > 0
    GROUP BY host, bucket`;
}

/**
 * Rates of the network counters, rows as in `metricsStatement`, per direction. A host's counter is followed from
 * sample to sample, inside a bucket and across; one that fell was reset, and has counted from 0 since. One rate
 * per host and bucket; the average is weighted by time.
 */
export function networkStatement(about: SummaryScope, range: SummaryRange): Statement {
  const conditions = rollupConditions(about, range, true);
  const samples = (['rx', 'tx'] as const).map((direction) =>
    counterSamples(direction, range, conditions.sql),
  );
  return {
    sql: `
SELECT direction, is_current, slot, grouping(slot) AS is_total,
    count() AS rate_samples, sum(bytes) / sum(seconds) AS rate_avg, min(rate) AS rate_least,
    max(rate) AS rate_most, quantilesDD(${QUANTILES})(rate) AS rate_marks
FROM (
    SELECT direction, ${IS_CURRENT}, ${SLOT} AS slot,
        (toUnixTimestamp64Micro(first_sample.1) - toUnixTimestamp64Micro(before.1)) / 1e6 AS gap,
        gap > 0 AND gap <= ${MAX_GAP_S} AS is_joined,
        (toUnixTimestamp64Micro(last_sample.1) - toUnixTimestamp64Micro(first_sample.1)) / 1e6
            + if(is_joined, gap, 0) AS seconds,
        toFloat64(if(last_sample.3 >= first_sample.3, last_sample.3 - first_sample.3, last_sample.3))
            + if(is_joined,
                toFloat64(if(first_sample.3 >= before.3, first_sample.3 - before.3, first_sample.3)), 0) AS bytes,
        bytes / seconds AS rate
    FROM (
        SELECT *, lagInFrame(last_sample) OVER (
            PARTITION BY direction, host ORDER BY bucket ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
        FROM (${samples.join('\n    UNION ALL')}))
    WHERE seconds > 0)
GROUP BY GROUPING SETS ((direction, is_current, slot), (direction, is_current))`,
    params: { ...conditions.params, ...rangeParams(range) },
  };
}

/** Counts per interval, level, service and host: the largest of each. */
export function eventsStatement(about: SummaryScope, range: SummaryRange): Statement {
  const conditions = rollupConditions(about, range, false);
  return {
    sql: `
SELECT multiIf(grouping(slot) = 0, 'slot', grouping(level) = 0, 'level',
        grouping(service) = 0, 'service', 'host') AS dimension,
    slot, level, service, host, sum(event_count) AS total
FROM (
    SELECT level, service, host, event_count, true AS is_current, ${SLOT} AS slot
    FROM events_${range.rollup}
    WHERE ${conditions.sql})
GROUP BY GROUPING SETS ((slot), (level), (service), (host))
ORDER BY total DESC, service, host
LIMIT 300 BY dimension`,
    params: { ...conditions.params, interval: range.intervalS },
  };
}

/** CPU and memory of the given hosts over the range. */
export function hostsStatement(
  about: SummaryScope,
  range: SummaryRange,
  hosts: readonly string[],
): Statement {
  const conditions = rollupConditions(about, range, false);
  conditions.add('host IN ?1', ['Array(String)', hosts]);
  return {
    sql: `
SELECT host,
    if(sum(cpu_count) = 0, NULL, sum(cpu_sum) / sum(cpu_count)) AS cpu_avg,
    if(sum(memory_count) = 0, NULL, sum(memory_sum) / sum(memory_count)) AS memory_avg,
    max(cpu_max) AS cpu_most, max(memory_max) AS memory_most
FROM host_metrics_${range.rollup}
WHERE ${conditions.sql}
GROUP BY host`,
    params: conditions.params,
  };
}
