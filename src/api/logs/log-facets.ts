/**
 * `GET /logs/facets?field=service&field=attr.region`: the most frequent values of fields among the logs of a filter.
 */
import { nearestName } from '../../config/did-you-mean.ts';
import { quoteValue } from '../../errors.ts';
import type { HttpResponse } from '../http/port.ts';
import { NO_LEVEL } from '../no-level.ts';
import { badParameter, jsonResponse } from '../problem.ts';
import { selectLimited } from '../query-limits.ts';
import { readQuery } from '../read-query.ts';
import type { RequestContext } from '../route.ts';
import { readSpan, toRangeUs } from '../summary/summary-range.ts';
import { formatTime } from '../time-input.ts';
import { FacetsQuery } from './aggregate-operations.ts';
import { type EventRollup, ROLLUP_FIELDS, rollupConditions, rollupFor, widen } from './event-rollup.ts';
import type { LogsPorts } from './logs-page.ts';
import { filterOf } from './logs-query.ts';
import { conditionsOf, type LogsSelection, type Statement } from './logs-sql.ts';

/** Field → its value as text, constants of the program; empty stands for absent. */
const TEXT_FIELDS: Readonly<Record<string, string>> = {
  host: 'host',
  service: 'service',
  environment: 'environment',
  level: `if(level = '', '${NO_LEVEL}', level)`,
  user: 'user',
  process: 'process',
  outcome: 'outcome',
  source_ip: addressText('source_ip'),
  destination_ip: addressText('destination_ip'),
  'http.method': 'http_method',
  'http.path': 'http_path',
  'http.status': `if(http_status = 0, '', toString(http_status))`,
  'geo.country': 'geo_country',
  'geo.city': 'geo_city',
  threat: listed('threats.name'),
  threat_severity: listed('threats.severity'),
};
const ATTRIBUTE_PREFIX = 'attr.';
const MAX_FIELDS = 10;

interface FacetRow {
  readonly position: number;
  readonly missing: number;
  readonly distinct_count: number;
  readonly present: number;
  /** Counts are negative: the order is ascending. */
  readonly top: readonly (readonly [negativeCount: number, value: string])[];
}

type Ports = Pick<LogsPorts, 'store' | 'now'>;

export async function logFacets(
  { request, query, principal }: RequestContext,
  { store, now }: Ports,
): Promise<HttpResponse> {
  const { field, limit } = readQuery(query, FacetsQuery);
  const fields = checkFields(field);
  const nowMs = now();
  const span = readSpan(query, nowMs);
  const selection = { scope: principal.scope, filter: filterOf(query), ...toRangeUs(span) };
  const isCounted = fields.every((field) => ROLLUP_FIELDS.has(field));
  const rollup = isCounted ? rollupFor(selection, nowMs) : undefined;
  const statement = facetsStatement(selection, { fields, limit, rollup });
  const { fromUs, toUs } = toRangeUs(widen(span, rollup));
  const { rows, rowsRead, elapsedMs } = await selectLimited<FacetRow>(store, statement, request.signal);
  const byPosition = new Map(rows.map((row) => [row.position, row]));
  return jsonResponse({
    from: formatTime(fromUs),
    to: formatTime(toUs),
    facets: fields.map((field, position) => toFacet(field, byPosition.get(position))),
    meta: { rows_read: rowsRead, elapsed_ms: elapsedMs },
  });
}

function checkFields(given: readonly string[]): string[] {
  const fields = [...new Set(given)];
  if (fields.length > MAX_FIELDS) {
    throw badParameter('field', `At most ${MAX_FIELDS} fields can be asked for.`);
  }
  for (const field of fields) {
    const isKnown =
      Object.hasOwn(TEXT_FIELDS, field) ||
      (field.startsWith(ATTRIBUTE_PREFIX) && field.length > ATTRIBUTE_PREFIX.length);
    if (!isKnown) {
      const names = Object.keys(TEXT_FIELDS);
      const detail = `field must be one of ${names.join(', ')} or attr.<key>; got ${quoteValue(field)}.`;
      throw badParameter('field', detail, nearestName(field, names));
    }
  }
  return fields;
}

function toFacet(field: string, row: FacetRow | undefined): object {
  const values = (row?.top ?? []).map(([negativeCount, value]) => ({ value, count: -negativeCount }));
  const missing = row?.missing ?? 0;
  const shown = values.reduce((sum, { count }) => sum + count, 0);
  return {
    field,
    values,
    distinct: row?.distinct_count ?? 0,
    other: (row?.present ?? 0) - shown,
    missing,
  };
}

interface FacetsOptions {
  readonly fields: readonly string[];
  readonly limit: number;
  readonly rollup: EventRollup | undefined;
}

/** One part for each field: each reads no more than the columns that it needs. */
function facetsStatement(selection: LogsSelection, { fields, limit, rollup }: FacetsOptions): Statement {
  const conditions = rollup === undefined ? conditionsOf(selection) : rollupConditions(selection, rollup);
  const [table, total] = rollup === undefined ? ['logs', 'count()'] : [rollup, 'sum(event_count)'];
  const keys: Record<string, string> = {};
  const parts = fields.map((field, position) => {
    let text = TEXT_FIELDS[field];
    if (text === undefined) {
      keys[`key${position}`] = field.slice(ATTRIBUTE_PREFIX.length);
      text = `metadata[{key${position}:String}]`;
    }
    return `
SELECT toUInt8(${position}) AS position, sumIf(total, value = '') AS missing,
    countIf(value != '') AS distinct_count, sumIf(total, value != '') AS present,
    groupArraySortedIf(${limit})((-toInt64(total), value), value != '') AS top
FROM (SELECT toString(${text}) AS value, ${total} AS total FROM ${table} WHERE ${conditions.sql} GROUP BY value)`;
  });
  return { sql: parts.join('\nUNION ALL'), params: { ...conditions.params, ...keys } };
}

/** IPv4 out of its mapping. */
function addressText(column: string): string {
  return `if(${column} = toIPv6('::'), '', replaceRegexpOne(toString(${column}), '^::ffff:([0-9.]+)$', '\\\\1'))`;
}

/** Each value of a list; an empty list counts as absent. */
function listed(column: string): string {
  return `arrayJoin(if(empty(${column}), [''], arrayMap(name -> toString(name), ${column})))`;
}
