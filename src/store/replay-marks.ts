/**
 * Marks in `redrives` for letters that a replay makes events, and for moved ones that it makes letters again: the ledger
 * does not change, so these are what law 1 is corrected by.
 */
import type { Params } from './clickhouse-client.ts';
import type { SettledTurn } from './settled-rows.ts';

/** Columns of `replay_left_letters` and `replay_back_letters`, from letters. A letter of an earlier version has no range. */
export const MARKED = `source, partition, offset, record_time, content,
  greatest(to_offset, offset + 1) AS to_offset, reason, greatest(record_count, 1) AS record_count`;

const KEY = 'source, partition, offset, record_time, content';
const INTO = `redrives (${KEY}, is_moved, first_reason, record_count, stored, filtered, dead_lettered)`;

/**
 * What became of each letter in `replay_left_letters`, from the rows and letters that are staged. A batch's letter covers
 * offsets, a record's is known by its time too; what became neither row nor letter was filtered.
 */
export async function markLeft(turn: SettledTurn): Promise<void> {
  await turn.copy(
    INTO,
    `SELECT source, partition, first AS offset, record_time, content, true AS is_moved, first_reason, records,
       rows AS stored, if(records > rows + again, map('blank', records - rows - again), map()) AS filtered,
       reasons AS dead_lettered
     FROM (
       SELECT source, partition, first, record_time, content, first_reason, records,
         countIf(kind = 'row' AND isOwn) AS rows, countIf(kind = 'letter' AND isOwn) AS again,
         sumMapIf(map(became, toUInt64(1)), kind = 'letter' AND isOwn) AS reasons
       FROM (
         SELECT l.*, n.kind AS kind, n.became AS became, content = 'batches' OR n.time = l.record_time AS isOwn
         FROM (
           SELECT source, partition, offset AS first, record_time, content, reason AS first_reason,
             record_count AS records, arrayJoin(range(offset, to_offset)) AS offset
           FROM replay_left_letters
           WHERE (${KEY}) NOT IN (SELECT ${KEY} FROM replay_letters)) AS l
         LEFT JOIN (
           SELECT source, partition, offset, ingested_at AS time, 'row' AS kind, '' AS became FROM replay_logs
           UNION ALL
           SELECT source, partition, offset, record_time, 'letter', toString(reason) FROM replay_letters) AS n
         USING (source, partition, offset))
       GROUP BY source, partition, first, record_time, content, first_reason, records)`,
  );
}

/** Of the letters in `from`, a table or subquery, those that have moved are letters again. */
export async function markBack(turn: SettledTurn, from: string, params: Params = {}): Promise<void> {
  await turn.copy(
    INTO,
    `SELECT ${KEY}, false AS is_moved, first_reason, record_count, 0, map(), map()
     FROM redrives AS r FINAL
     WHERE r.is_moved AND (source, partition, offset) IN (SELECT source, partition, offset FROM ${from})
       AND (${KEY}) IN (SELECT ${KEY} FROM ${from})`,
    params,
  );
}
