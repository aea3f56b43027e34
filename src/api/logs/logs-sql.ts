/**
 * The statements behind `GET /logs` and `GET /logs/:id`. What selects logs is the same for all that reads them.
 */
import { addScope, type Scope } from '../scope.ts';
import { SqlConditions } from '../sql-conditions.ts';
import type { LogCursor, LogPosition } from './cursor.ts';
import { addLogFilter } from './log-filter.ts';
import { LOG_SELECT } from './log-shape.ts';

export interface Statement {
  readonly sql: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** Which logs a request is about. */
export interface LogsSelection {
  readonly scope: Scope;
  readonly filter: URLSearchParams;
  /** Inclusive. */
  readonly fromUs: number | undefined;
  /** Exclusive. */
  readonly toUs: number | undefined;
}

export interface LogsQuery extends LogsSelection {
  readonly order: 'asc' | 'desc';
  readonly cursor: LogCursor | undefined;
  readonly limit: number;
}

const MICROS = `fromUnixTimestamp64Micro(?1, 'UTC')`;
/** How far before and after a log its context may lie: a host that is silent for longer has none there. */
const CONTEXT_SPAN_US = 24 * 3600 * 1e6;
/**
 * The bucket comes first because the table is sorted by it: the server then reads newest buckets first and stops
 * when it has enough. It changes nothing in the order, being a monotonic function of the timestamp.
 */
const ORDER = ['toStartOfFiveMinutes(timestamp)', 'timestamp', 'source', 'partition', 'offset'];

/** Range, scope and filter, as conditions on `logs`. */
export function conditionsOf({ scope, filter, fromUs, toUs }: LogsSelection): SqlConditions {
  const conditions = new SqlConditions();
  if (fromUs !== undefined) conditions.add(`timestamp >= ${MICROS}`, ['Int64', fromUs]);
  if (toUs !== undefined) conditions.add(`timestamp < ${MICROS}`, ['Int64', toUs]);
  addScope(conditions, scope);
  addLogFilter(conditions, filter);
  return conditions;
}

/** One row more than the limit is asked for: it tells whether there is another page. */
export function logsStatement(query: LogsQuery): Statement {
  const conditions = conditionsOf(query);
  const direction = sqlDirection(query);
  if (query.cursor !== undefined) addPosition(conditions, query.cursor.position, direction);
  return orderedLogs(conditions, direction, query.limit + 1);
}

/** All of a selection in order; `limit` undefined: without an end. */
export function exportStatement(
  selection: LogsSelection,
  order: 'asc' | 'desc',
  limit: number | undefined,
): Statement {
  return orderedLogs(conditionsOf(selection), order === 'asc' ? 'ASC' : 'DESC', limit);
}

/** The `limit` logs next to a position on the same host and service, nearest first. */
export function contextStatement(
  row: LogPosition & { readonly host: string; readonly service: string },
  options: { readonly scope: Scope; readonly direction: 'ASC' | 'DESC'; readonly limit: number },
): Statement {
  const { scope, direction, limit } = options;
  const isForward = direction === 'ASC';
  const conditions = new SqlConditions();
  const endUs = row.timestampUs + (isForward ? CONTEXT_SPAN_US : -CONTEXT_SPAN_US);
  conditions.add(`timestamp ${isForward ? '<=' : '>='} ${MICROS}`, ['Int64', endUs]);
  conditions.add('service = ?1', ['String', row.service]);
  conditions.add('host = ?1', ['String', row.host]);
  addPosition(conditions, row, direction);
  addScope(conditions, scope);
  return orderedLogs(conditions, direction, limit);
}

function orderedLogs(
  conditions: SqlConditions,
  direction: 'ASC' | 'DESC',
  limit: number | undefined,
): Statement {
  const order = ORDER.map((column) => `${column} ${direction}`).join(', ');
  const end = limit === undefined ? '' : `\nLIMIT ${limit}`;
  return {
    sql: `SELECT ${LOG_SELECT}\nFROM logs\nWHERE ${conditions.sql}\nORDER BY ${order}${end}`,
    params: conditions.params,
  };
}

/** Going back means reading in the other direction; the rows are turned round afterwards. */
export function sqlDirection({ order, cursor }: Pick<LogsQuery, 'order' | 'cursor'>): 'ASC' | 'DESC' {
  return (order === 'asc') === (cursor?.direction !== 'prev') ? 'ASC' : 'DESC';
}

function addPosition(conditions: SqlConditions, position: LogPosition, direction: 'ASC' | 'DESC'): void {
  const { timestampUs, source, partition, offset } = position;
  // The first condition follows from the second, and is the one that the primary key can use.
  conditions.add(`timestamp ${direction === 'ASC' ? '>=' : '<='} ${MICROS}`, ['Int64', timestampUs]);
  conditions.add(
    `(toUnixTimestamp64Micro(timestamp), source, partition, offset) ${direction === 'ASC' ? '>' : '<'} (?1, ?2, ?3, ?4)`,
    ['Int64', timestampUs],
    ['UInt8', source],
    ['UInt16', partition],
    ['UInt64', offset],
  );
}

/** The row at an address, if it is in scope. Time, source and partition prune it to a few granules. */
export function logStatement(position: LogPosition, scope: Scope): Statement {
  const conditions = new SqlConditions();
  conditions.add(`timestamp = ${MICROS}`, ['Int64', position.timestampUs]);
  conditions.add('source = ?1', ['UInt8', position.source]);
  conditions.add('partition = ?1', ['UInt16', position.partition]);
  conditions.add('offset = ?1', ['UInt64', position.offset]);
  addScope(conditions, scope);
  return {
    sql: `SELECT ${LOG_SELECT}\nFROM logs\nWHERE ${conditions.sql}\nLIMIT 1`,
    params: conditions.params,
  };
}
