/**
 * Whether the counts of events by minute or hour can answer for the logs of a selection, and the conditions on them.
 */
import type { Span } from '../intervals.ts';
import { addScope } from '../scope.ts';
import { SqlConditions } from '../sql-conditions.ts';
import { addLogFilter } from './log-filter.ts';
import type { LogsSelection } from './logs-sql.ts';

export type EventRollup = 'events_1m' | 'events_1h';

/** Filters, and columns of the rollups under the same names. */
export const ROLLUP_FIELDS: ReadonlySet<string> = new Set(['host', 'service', 'environment', 'level']);
const MINUTE_S = 60;
const HOUR_S = 3600;
/** What a DateTime holds. */
const MAX_S = 2 ** 32 - 1;
/** Minutes are kept for 40 days; what begins earlier is counted by hours. */
const MINUTES_KEPT_S = 39 * 24 * HOUR_S;

/** The finest rollup that has the selection; undefined when its filter needs the logs themselves. */
export function rollupFor(
  { filter, fromUs }: Pick<LogsSelection, 'filter' | 'fromUs'>,
  nowMs: number,
): EventRollup | undefined {
  if (![...filter.keys()].every((name) => ROLLUP_FIELDS.has(name))) return undefined;
  const isOld = fromUs === undefined || fromUs / 1e6 < nowMs / 1000 - MINUTES_KEPT_S;
  return isOld ? 'events_1h' : 'events_1m';
}

/** Seconds of one bucket. */
export function resolutionOf(rollup: EventRollup): number {
  return rollup === 'events_1h' ? HOUR_S : MINUTE_S;
}

/** Buckets are whole, so a range that is read from them is, too; undefined: from the logs, as it is. */
export function widen({ fromS, toS }: Span, rollup: EventRollup | undefined): Span {
  if (rollup === undefined) return { fromS, toS };
  const bucketS = resolutionOf(rollup);
  return { fromS: Math.floor(fromS / bucketS) * bucketS, toS: Math.ceil(toS / bucketS) * bucketS };
}

/** The range is widened to whole buckets. */
export function rollupConditions(
  { scope, filter, fromUs, toUs }: LogsSelection,
  rollup: EventRollup,
): SqlConditions {
  const conditions = new SqlConditions();
  const bucketUs = resolutionOf(rollup) * 1e6;
  const add = (sign: '>=' | '<', us: number): void =>
    conditions.add(`bucket ${sign} toDateTime(?1, 'UTC')`, ['Int64', Math.min(Math.max(us / 1e6, 0), MAX_S)]);
  if (fromUs !== undefined) add('>=', Math.floor(fromUs / bucketUs) * bucketUs);
  if (toUs !== undefined) add('<', Math.ceil(toUs / bucketUs) * bucketUs);
  addScope(conditions, scope);
  addLogFilter(conditions, filter);
  return conditions;
}
