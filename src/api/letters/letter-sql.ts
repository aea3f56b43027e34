/**
 * The statements that find dead letters: those of table `dead_letters` that have not moved, with what the newest
 * attempt to drive them again said.
 */
import { SEAL_BYTES } from '../../encode/letter-seal.ts';
import type { LetterContent } from '../../event/columns.ts';
import type { EventAddress } from '../../event/event-id.ts';
import { SOURCE_CONDITION } from '../logs/log-filter.ts';
import type { Statement } from '../logs/logs-sql.ts';
import { SqlConditions } from '../sql-conditions.ts';

/** Every condition that is given must hold. */
export interface LetterFilter {
  readonly reasons?: readonly string[] | undefined;
  /** Topics and kinds of sources. */
  readonly sources?: readonly string[] | undefined;
  /** When the letter was stored, microseconds: from, inclusive, and to, exclusive. */
  readonly fromUs?: number | undefined;
  readonly toUs?: number | undefined;
  /** The ids, decoded: the record's time and coordinates. */
  readonly addresses?: readonly EventAddress[] | undefined;
}

/** Position in the order newest first. */
export interface LetterPosition {
  readonly storedUs: number;
  readonly source: number;
  readonly partition: number;
  readonly offset: number;
}

export interface LetterRow {
  readonly source: number;
  readonly partition: number;
  readonly offset: number;
  /** Exclusive. */
  readonly to_offset: number;
  readonly record_count: number;
  /** Empty: stored in clear text, by an earlier version. */
  readonly content: LetterContent | '';
  readonly record_us: number;
  readonly stored_us: number;
  /** As the ledger counted it, and as the newest attempt found it. */
  readonly first_reason: string;
  readonly newest_reason: string;
  readonly newest_detail: string;
  /** Of the payload, the seal left out. */
  readonly bytes: number;
  /** 0: never driven again. */
  readonly attempted_us: number;
}

const KEY = 'source, partition, offset, record_time, content';
const MICROS = `fromUnixTimestamp64Micro(?1, 'UTC')`;
const POSITION = 'toUnixTimestamp64Micro(toDateTime64(stored_at, 6)), source, partition, offset';

/** Newest first. */
const NEWEST_FIRST = 'stored_us DESC, source DESC, partition DESC, offset DESC, record_us DESC, content DESC';

/** Letters that are stored, those that have moved included: of all conditions only those that hold for the rows. */
interface StoredLetters {
  readonly stored: SqlConditions;
  /** Rows of `redrives` that may belong to them; absent: all. */
  readonly attempts?: SqlConditions;
  /** Of the subquery. */
  readonly limit?: string;
}

/** The letters with what the newest attempt said, as the rows of a subquery; `where` says which are meant. */
function lettersSql({ stored, attempts, limit = '' }: StoredLetters): string {
  return `
SELECT source, partition, offset, greatest(l.to_offset, offset + 1) AS to_offset,
    greatest(l.record_count, 1) AS record_count, content,
    toUnixTimestamp64Micro(record_time) AS record_us,
    toUnixTimestamp64Micro(toDateTime64(l.stored_at, 6)) AS stored_us,
    l.reason AS first_reason,
    if(r.reason = '', l.reason, r.reason) AS newest_reason,
    if(r.reason = '', l.detail, r.detail) AS newest_detail,
    l.size - if(content = '', 0, ${SEAL_BYTES}) AS bytes,
    toUnixTimestamp64Micro(r.attempted_at) AS attempted_us,
    r.is_moved AS is_moved
FROM (
    SELECT ${KEY}, to_offset, record_count, stored_at, reason, detail, length(payload) AS size
    FROM dead_letters WHERE ${stored.sql} ${limit === '' ? `LIMIT 1 BY ${KEY}` : limit}
) AS l
LEFT ANY JOIN (
    SELECT ${KEY}, is_moved, reason, detail, attempted_at FROM redrives FINAL WHERE ${attempts?.sql ?? '1'}
) AS r
    USING (${KEY})`;
}

function meantLetters({ reasons }: LetterFilter): SqlConditions {
  const meant = new SqlConditions('r');
  meant.add('NOT is_moved');
  if (reasons !== undefined) meant.add('newest_reason IN ?1', ['Array(String)', reasons]);
  return meant;
}

/** Letters that meet the filter, as the rows of a subquery. */
function foundLetters(filter: LetterFilter, before?: LetterPosition): Statement {
  const stored = new SqlConditions('l');
  addStored(stored, filter);
  if (before !== undefined) {
    stored.add(
      `(${POSITION}) < (?1, ?2, ?3, ?4)`,
      ['Int64', before.storedUs],
      ['UInt8', before.source],
      ['UInt16', before.partition],
      ['UInt64', before.offset],
    );
  }
  const meant = meantLetters(filter);
  return {
    sql: `SELECT * FROM (${lettersSql({ stored })}) WHERE ${meant.sql}`,
    params: { ...stored.params, ...meant.params },
  };
}

function addStored(conditions: SqlConditions, filter: LetterFilter): void {
  const { sources, fromUs, toUs, addresses } = filter;
  if (sources !== undefined) conditions.add(SOURCE_CONDITION, ['Array(String)', sources]);
  if (fromUs !== undefined) conditions.add(`stored_at >= ${MICROS}`, ['Int64', fromUs]);
  if (toUs !== undefined) conditions.add(`stored_at < ${MICROS}`, ['Int64', toUs]);
  if (addresses === undefined) return;
  conditions.add('offset IN ?1', ['Array(UInt64)', addresses.map(({ offset }) => offset)]);
  conditions.add(
    '(source, partition, offset, toUnixTimestamp64Micro(record_time)) IN (SELECT arrayJoin(arrayZip(?1, ?2, ?3, ?4)))',
    ['Array(UInt8)', addresses.map(({ source }) => source)],
    ['Array(UInt16)', addresses.map(({ partition }) => partition)],
    ['Array(UInt64)', addresses.map(({ offset }) => offset)],
    ['Array(Int64)', addresses.map(({ timestampUs }) => timestampUs)],
  );
}

/** A page of letters, newest first, and one row more, which tells whether there is another page. */
export function letterPage(filter: LetterFilter, limit: number, before?: LetterPosition): Statement {
  const { sql, params } = foundLetters(filter, before);
  return { sql: `${sql}\nORDER BY ${NEWEST_FIRST}\nLIMIT ${limit + 1}`, params };
}

/** What a redrive of the letters would be about. */
export interface LetterCount {
  readonly reason: string;
  readonly letters: number;
  readonly records: number;
}

export function letterCounts(filter: LetterFilter): Statement {
  const { sql, params } = foundLetters(filter);
  return {
    sql: `SELECT newest_reason AS reason, count() AS letters, sum(record_count) AS records
      FROM (${sql}) GROUP BY reason ORDER BY letters DESC, reason`,
    params,
  };
}

const LANE_KEY = 'source, partition, offset, record_us, content';

/**
 * The next letters by coordinates, behind `after`: at most `limit`, with a column `is_meant` that says which of them meet
 * the filter. Those that do not are among them so that each page reads only its own part of the tables.
 */
export function letterStretch(filter: LetterFilter, limit: number, after?: LetterRow): Statement {
  const stored = new SqlConditions('l');
  const attempts = new SqlConditions('a');
  addStored(stored, filter);
  if (after !== undefined) for (const conditions of [stored, attempts]) addBehind(conditions, after);
  const meant = meantLetters(filter);
  const page = `ORDER BY ${KEY} LIMIT 1 BY ${KEY} LIMIT ${limit}`;
  const sql = lettersSql({ stored, attempts, limit: page });
  return {
    sql: `SELECT *, ${meant.sql} AS is_meant FROM (${sql}) ORDER BY ${LANE_KEY}`,
    params: { ...stored.params, ...attempts.params, ...meant.params },
  };
}

/** The first conditions are for the primary key, which knows no order of tuples; the last decides. */
function addBehind(conditions: SqlConditions, { source, partition, offset, ...letter }: LetterRow): void {
  const lane = [['UInt8', source] as const, ['UInt16', partition] as const];
  conditions.add('source >= ?1 AND (source > ?1 OR partition >= ?2)', ...lane);
  conditions.add('source > ?1 OR partition > ?2 OR offset >= ?3', ...lane, ['UInt64', offset]);
  conditions.add(
    '(source, partition, offset, toUnixTimestamp64Micro(record_time), content) > (?1, ?2, ?3, ?4, ?5)',
    ...lane,
    ['UInt64', offset],
    ['Int64', letter.record_us],
    ['String', letter.content],
  );
}

/** Names a letter among all: two may have the same coordinates and time, but not the same content. */
export function letterKey(
  row: Pick<LetterRow, 'source' | 'partition' | 'offset' | 'record_us' | 'content'>,
): string {
  return [row.source, row.partition, row.offset, row.record_us, row.content].join('/');
}

export type LetterPayload = Parameters<typeof letterKey>[0] & {
  /** Base64; empty when the payload has more than `maxBytes`. */
  readonly sealed: string;
};

/** The payloads of the letters, in any order; others with the same coordinates may be among them. */
export function payloads(rows: readonly LetterRow[], maxBytes: number): Statement {
  const conditions = new SqlConditions();
  addStored(conditions, {
    addresses: rows.map(({ record_us: timestampUs, source, partition, offset }) => ({
      timestampUs,
      source,
      partition,
      offset,
    })),
  });
  const sealed = `if(length(payload) <= ${maxBytes}, base64Encode(payload), '')`;
  return {
    sql: `SELECT source, partition, offset, toUnixTimestamp64Micro(record_time) AS record_us, content,
      ${sealed} AS sealed FROM dead_letters WHERE ${conditions.sql} LIMIT 1 BY ${LANE_KEY}`,
    params: conditions.params,
  };
}
