/**
 * What the live tail asks ClickHouse: up to where the order of storing is complete, the rows between two marks or of a
 * stretch of a lane, how many they are, and whether others store logs too.
 */
import type { LaneKey } from '../../pipeline/ports.ts';
import { LOG_SELECT, type LogRow, positionOf } from '../logs/log-shape.ts';
import type { Statement } from '../logs/logs-sql.ts';
import { SqlConditions } from '../sql-conditions.ts';
import type { Gap } from './tail-event.ts';
import type { TailGroup } from './tail-group.ts';
import type { TailMark, TailPosition } from './tail-mark.ts';

export interface TailRow extends LogRow {
  readonly stored_s: number;
}

/** What who has `upTo` has and who has `after` has not. */
export interface MarkRange {
  readonly after: TailMark;
  readonly upTo: TailMark;
  /** Only what was stored before this second. */
  readonly endS?: number | undefined;
}

/** Offsets [fromOffset, toOffset) of a lane, as far as they were stored in the second `sinceS` or later. */
export interface LaneRange extends LaneKey {
  readonly fromOffset: number;
  readonly toOffset: number;
  readonly sinceS: number;
}

export type TailRange = MarkRange | LaneRange;
type Chooser = Pick<TailGroup, 'key' | 'conditions'>;

/** An insert that runs for longer holds the tails up no more: what it stores is not shown. */
const MAX_INSERT_S = 30;
/** With more text than this in the filters together, all rows are read and chosen from in the program. */
const MAX_FILTER_CHARACTERS = 50_000;
const POSITION =
  '(toInt64(toUnixTimestamp(stored_at)), toUnixTimestamp64Micro(timestamp), source, partition, offset)';
const LANE = 'toUInt32(source) * 65536 + partition';
const STORED_ORDER = 'stored_at, timestamp, source, partition, offset';

/**
 * A second before which nothing more will be stored. Rows have the time at which their insert began or later, so
 * inserts that run hold it back. It is read before the rows: what it promises is then there to be read.
 */
export const READY_SQL = `
SELECT greatest(
    toUnixTimestamp(now()) - ${MAX_INSERT_S},
    toUnixTimestamp(now()) - toInt64(ceil(max(elapsed)))) AS ready_s
FROM system.processes
WHERE query_kind = 'Insert' AND match(query, '(?i)^\\\\s*INSERT\\\\s+INTO\\\\s+([\\\\w\`"]+\\\\.)?[\`"]?logs\\\\b')`;

/** Whether the ledger has rows of the last seconds of lanes that are not among these. */
export function othersStatement(lanes: readonly number[], seconds: number): Statement {
  return {
    sql: `SELECT count() > 0 AS are_others FROM ledger
WHERE committed_at > now64(3) - toIntervalSecond({seconds:UInt32}) AND NOT has({lanes:Array(UInt32)}, ${LANE})`,
    params: { seconds, lanes },
  };
}

/** In order; one more than `limit` tells that there are more. */
export function rowsStatement(range: TailRange, groups: readonly Chooser[], limit: number): Statement {
  const conditions = rangeConditions(range);
  const parts: SqlConditions[] = [];
  const characters = groups.reduce((sum, { key }) => sum + key.length, 0);
  if (characters <= MAX_FILTER_CHARACTERS) {
    parts.push(...groups.map((group, i) => group.conditions(`g${i}_`)));
    conditions.add(parts.map(({ sql }) => `(${sql})`).join(' OR ') || '0');
  }
  return {
    sql: `SELECT toUnixTimestamp(stored_at) AS stored_s, ${LOG_SELECT}
FROM logs WHERE ${conditions.sql} ORDER BY ${'after' in range ? STORED_ORDER : 'offset'} LIMIT ${limit + 1}`,
    params: joinParams([conditions, ...parts]),
  };
}

/** One row with the counts of all groups. */
export function gapsStatement(range: TailRange, groups: readonly Chooser[]): Statement {
  const conditions = rangeConditions(range);
  const parts = groups.map((group, i) => group.conditions(`g${i}_`));
  const columns = parts.map(
    ({ sql }) => `[toInt64(countIf(${sql})), toUnixTimestamp64Micro(minIf(timestamp, ${sql})),
    toUnixTimestamp64Micro(maxIf(timestamp, ${sql}))]`,
  );
  return {
    sql: `SELECT [${columns.join(',\n')}] AS gaps FROM logs WHERE ${conditions.sql}`,
    params: joinParams([conditions, ...parts]),
  };
}

export interface GapsRow {
  readonly gaps: readonly (readonly [count: number, fromUs: number, toUs: number])[];
}

/** In the order of the groups; undefined where nothing is missing. */
export function toGaps(row: GapsRow | undefined): (Gap | undefined)[] {
  return (row?.gaps ?? []).map(([count, fromUs, toUs]) =>
    count === 0 ? undefined : { count, fromUs, toUs },
  );
}

export function tailPositionOf(row: TailRow): TailPosition {
  return { ...positionOf(row), storedS: row.stored_s };
}

function rangeConditions(range: TailRange): SqlConditions {
  const conditions = new SqlConditions();
  if ('after' in range) addMarks(conditions, range);
  else addLane(conditions, range);
  return conditions;
}

function addMarks(conditions: SqlConditions, { after, upTo, endS }: MarkRange): void {
  // Follows from the next, and is the one that the index can use.
  conditions.add(`stored_at >= toDateTime(?1, 'UTC')`, ['Int64', after.position.storedS]);
  conditions.add(`${POSITION} > (?1, ?2, ?3, ?4, ?5)`, ...valuesOf(after.position));
  if (after.lanes.size > 0) conditions.add(`offset >= ${BELOW}`, ...frontiersOf(after));
  if (endS !== undefined) conditions.add(`stored_at < toDateTime(?1, 'UTC')`, ['Int64', endS]);
  if (upTo.lanes.size === 0) {
    conditions.add(`stored_at <= toDateTime(?1, 'UTC')`, ['Int64', upTo.position.storedS]);
    conditions.add(`${POSITION} <= (?1, ?2, ?3, ?4, ?5)`, ...valuesOf(upTo.position));
  } else {
    const below = BELOW.replace('?1', '?6').replace('?2', '?7');
    conditions.add(
      `(${POSITION} <= (?1, ?2, ?3, ?4, ?5) OR offset < ${below})`,
      ...valuesOf(upTo.position),
      ...frontiersOf(upTo),
    );
  }
}

/** The offset that a mark has for the lane of the row; 0 when it has none. */
const BELOW = `transform(${LANE}, ?1, ?2, toUInt64(0))`;

function frontiersOf({ lanes }: TailMark) {
  return [
    ['Array(UInt32)', [...lanes.keys()]],
    ['Array(UInt64)', [...lanes.values()]],
  ] as const;
}

function addLane(conditions: SqlConditions, range: LaneRange): void {
  const { source, partition, fromOffset, toOffset, sinceS } = range;
  conditions.add('source = ?1', ['UInt8', source]);
  conditions.add('partition = ?1', ['UInt16', partition]);
  conditions.add('offset >= ?1', ['UInt64', fromOffset]);
  conditions.add('offset < ?1', ['UInt64', toOffset]);
  conditions.add(`stored_at >= toDateTime(?1, 'UTC')`, ['Int64', sinceS]);
}

function valuesOf({ storedS, timestampUs, source, partition, offset }: TailPosition) {
  return [
    ['Int64', storedS],
    ['Int64', timestampUs],
    ['UInt8', source],
    ['UInt16', partition],
    ['UInt64', offset],
  ] as const;
}

function joinParams(clauses: readonly SqlConditions[]): Readonly<Record<string, unknown>> {
  return Object.assign({}, ...clauses.map(({ params }) => params)) as Readonly<Record<string, unknown>>;
}
