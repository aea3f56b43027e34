/**
 * `GET /logs/histogram`: how many logs there are per interval and level. From the rollups where filter and interval
 * allow it, else from the logs themselves.
 */
import { LEVEL_NAMES } from '../../parse/severity.ts';
import type { HttpResponse } from '../http/port.ts';
import { automaticInterval, givenInterval, HOUR, intervalStarts, MINUTE, type Span } from '../intervals.ts';
import { NO_LEVEL } from '../no-level.ts';
import { jsonResponse } from '../problem.ts';
import { selectLimited } from '../query-limits.ts';
import { single } from '../query-params.ts';
import type { RequestContext } from '../route.ts';
import { readSpan, toRangeUs } from '../summary/summary-range.ts';
import { formatTime } from '../time-input.ts';
import { type EventRollup, resolutionOf, rollupConditions, rollupFor, widen } from './event-rollup.ts';
import type { LogsPorts } from './logs-page.ts';
import { filterOf } from './logs-query.ts';
import { conditionsOf, type LogsSelection, type Statement } from './logs-sql.ts';

/** Levels that a program made up itself are counted together. */
const OTHER_LEVEL = 'OTHER';
const KNOWN_LEVELS = LEVEL_NAMES.map((name) => Buffer.from(name).toString());
/** Below this span an interval of minutes would give too few points to see anything. */
const MINUTES_FROM_S = HOUR / 2;

interface CountRow {
  readonly slot: number;
  readonly level_name: string;
  readonly total: number;
}

type Ports = Pick<LogsPorts, 'store' | 'now'>;

export async function logHistogram(
  { request, query, principal }: RequestContext,
  { store, now }: Ports,
): Promise<HttpResponse> {
  const nowMs = now();
  const span = readSpan(query, nowMs);
  const selection = { scope: principal.scope, filter: filterOf(query), ...toRangeUs(span) };
  const rollup = rollupFor(selection, nowMs);
  const intervalS = chooseInterval(single(query, 'interval'), span, rollup);
  const source = rollup !== undefined && intervalS % resolutionOf(rollup) === 0 ? rollup : undefined;
  const statement = histogramStatement(selection, intervalS, source);
  const { rows, rowsRead, elapsedMs } = await selectLimited<CountRow>(store, statement, request.signal);
  const shown = widen(span, source);
  return jsonResponse({
    from: formatTime(toRangeUs(shown).fromUs),
    to: formatTime(toRangeUs(shown).toUs),
    interval_seconds: intervalS,
    total: rows.reduce((sum, { total }) => sum + total, 0),
    series: toSeries(rows, intervalStarts(shown, intervalS)),
    meta: { rows_read: rowsRead, elapsed_ms: elapsedMs },
  });
}

function chooseInterval(text: string | undefined, span: Span, rollup: EventRollup | undefined): number {
  if (text !== undefined) return givenInterval(text, span);
  if (rollup === undefined || span.toS - span.fromS < MINUTES_FROM_S) return automaticInterval(span, 1);
  return automaticInterval(span, rollup === 'events_1m' ? MINUTE : HOUR);
}

function histogramStatement(
  selection: LogsSelection,
  intervalS: number,
  rollup: EventRollup | undefined,
): Statement {
  const conditions = rollup === undefined ? conditionsOf(selection) : rollupConditions(selection, rollup);
  const [table, time, total] =
    rollup === undefined ? ['logs', 'timestamp', 'count()'] : [rollup, 'bucket', 'sum(event_count)'];
  return {
    sql: `
SELECT toUInt32(intDiv(toUnixTimestamp(${time}), {interval:UInt32}) * {interval:UInt32}) AS slot,
    if(level IN {levels:Array(String)}, toString(level), {other:String}) AS level_name, ${total} AS total
FROM ${table}
WHERE ${conditions.sql}
GROUP BY slot, level_name
ORDER BY slot, level_name`,
    params: { ...conditions.params, interval: intervalS, levels: KNOWN_LEVELS, other: OTHER_LEVEL },
  };
}

/** Every interval is there; levels only where there are any. */
function toSeries(rows: readonly CountRow[], starts: readonly number[]): object[] {
  const slots = new Map<number, Record<string, number>>();
  for (const { slot, level_name: level, total } of rows) {
    const levels = slots.get(slot) ?? {};
    levels[level === '' ? NO_LEVEL : level] = total;
    slots.set(slot, levels);
  }
  return starts.map((start) => {
    const levels = slots.get(start) ?? {};
    const count = Object.values(levels).reduce((sum, total) => sum + total, 0);
    return { time: formatTime(start * 1e6), count, by_level: levels };
  });
}
