/**
 * The statements behind `GET /logs` and `GET /logs/:id`.
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

export interface LogsQuery {
  readonly scope: Scope;
  readonly filter: URLSearchParams;
  /** Inclusive. */
  readonly fromUs: number | undefined;
  /** Exclusive. */
  readonly toUs: number | undefined;
  readonly order: 'asc' | 'desc';
  readonly cursor: LogCursor | undefined;
  readonly limit: number;
}

const MICROS = `fromUnixTimestamp64Micro(?1, 'UTC')`;
/**
 * The bucket comes first because the table is sorted by it: the server then reads newest buckets first and stops
 * when it has enough. It changes nothing in the order, being a monotonic function of the timestamp.
 */
const ORDER = ['toStartOfFiveMinutes(timestamp)', 'timestamp', 'source', 'partition', 'offset'];

/** One row more than the limit is asked for: it tells whether there is another page. */
export function logsStatement(query: LogsQuery): Statement {
  const conditions = new SqlConditions();
  if (query.fromUs !== undefined) conditions.add(`timestamp >= ${MICROS}`, ['Int64', query.fromUs]);
  if (query.toUs !== undefined) conditions.add(`timestamp < ${MICROS}`, ['Int64', query.toUs]);
  const direction = sqlDirection(query);
  if (query.cursor !== undefined) addPosition(conditions, query.cursor.position, direction);
  addScope(conditions, query.scope);
  addLogFilter(conditions, query.filter);
  const order = ORDER.map((column) => `${column} ${direction}`).join(', ');
  return {
    sql: `SELECT ${LOG_SELECT}\nFROM logs\nWHERE ${conditions.sql}\nORDER BY ${order}\nLIMIT ${query.limit + 1}`,
    params: conditions.params,
  };
}

/** Going back means reading in the other direction; the rows are turned round afterwards. */
function sqlDirection({ order, cursor }: LogsQuery): 'ASC' | 'DESC' {
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
