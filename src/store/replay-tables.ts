/**
 * The tables of a replay, of which a redrive uses `replay_touched`. All are made by it and dropped at its end; what a
 * crashed one left behind says what is to be finished.
 *
 * | table | holds |
 * |---|---|
 * | `replay_chunk_logs`, `replay_chunk_letters` | what was parsed last |
 * | `replay_touched` | minutes whose rollups may not agree with the rows: empty, or a change is under way |
 * | `replay_logs` | `replace`: all rows of the stretch as they will be |
 * | `replay_letters`, `replay_left_letters` | `replace`: letters to be added; letters that are none any more |
 * | `replay_back_letters` | `replace`: letters that had moved and are letters again |
 * | `replay_ranges` | `replace`: the stretch. Written when all of the above is complete: from then on it is finished, not undone |
 * | `replay_swap` | `replace`: one partition of `logs` as it will be |
 */
import type { LaneRange } from '../replay/ports.ts';
import type { Store } from './clickhouse-client.ts';
import type { SettledTurn } from './settled-rows.ts';

const MARKED_LETTERS = `(source UInt8, partition UInt16, offset UInt64, record_time DateTime64(6, 'UTC'), content String,
    to_offset UInt64, reason String, record_count UInt32)
    ENGINE = MergeTree ORDER BY (source, partition, offset)`;

const TABLES: Readonly<Record<string, string>> = {
  // First: without it the rest is scratch.
  replay_ranges: `(source UInt8, partition UInt16, from_offset UInt64, to_offset UInt64)
    ENGINE = MergeTree ORDER BY (source, partition)`,
  replay_touched: `(source UInt8, partition UInt16, minute DateTime('UTC'))
    ENGINE = MergeTree ORDER BY (source, partition, minute)`,
  replay_chunk_logs: 'AS logs',
  replay_chunk_letters: 'AS dead_letters',
  replay_logs: 'AS logs',
  replay_letters: 'AS dead_letters',
  replay_left_letters: MARKED_LETTERS,
  replay_back_letters: MARKED_LETTERS,
  replay_swap: 'AS logs',
};

export async function createReplayTables(
  turn: SettledTurn,
  names: readonly string[] = Object.keys(TABLES),
): Promise<void> {
  for (const name of names) await turn.command(`CREATE TABLE IF NOT EXISTS ${name} ${TABLES[name] ?? ''}`);
}

export async function dropReplayTables(turn: SettledTurn): Promise<void> {
  for (const name of Object.keys(TABLES)) await turn.command(`DROP TABLE IF EXISTS ${name} SYNC`);
}

/** What a crashed replay left to be finished. */
export interface Leftover {
  /** The stretch of a replacement that was decided; empty: there is none. */
  readonly ranges: readonly LaneRange[];
  readonly hasTouchedMinutes: boolean;
}

export async function readLeftover(store: Store): Promise<Leftover> {
  const tables = await store.query<{ name: string }>(
    `SELECT name FROM system.tables WHERE database = currentDatabase()
     AND name IN ('replay_ranges', 'replay_touched')`,
  );
  const names = new Set(tables.map(({ name }) => name));
  return {
    ranges: names.has('replay_ranges') ? await readRanges(store) : [],
    hasTouchedMinutes: names.has('replay_touched') && (await isFilled(store, 'replay_touched')),
  };
}

async function readRanges(store: Store): Promise<LaneRange[]> {
  return await store.query<LaneRange>(
    `SELECT source, partition, from_offset AS fromOffset, to_offset AS toOffset FROM replay_ranges
     ORDER BY source, partition`,
  );
}

export async function isFilled(store: Store, table: string): Promise<boolean> {
  return (await store.query(`SELECT 1 FROM ${table} LIMIT 1`)).length > 0;
}

/** Condition for rows of the ranges. Integers only: nothing to escape. */
export function rangesCondition(ranges: readonly LaneRange[]): string {
  const each = ranges.map(
    ({ source, partition, fromOffset, toOffset }) =>
      `(source = ${source} AND partition = ${partition} AND offset >= ${fromOffset} AND offset < ${toOffset})`,
  );
  return `(${each.join(' OR ')})`;
}
