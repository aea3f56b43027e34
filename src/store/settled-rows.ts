/**
 * Rows below the end of a lane's ledger: the running program is done with them and nobody claims their lane to write
 * them, so these inserts ask for no token. Who writes them (`replay`, `dlq redrive`) has the turn: runs exclude each
 * other by a mutex, and one that stood still until its mutex expired is known by the turn, which every insert looks up
 * when its rows arrive.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError } from '../errors.ts';
import { type Column, DEAD_LETTER_COLUMNS, LOG_COLUMNS } from '../event/columns.ts';
import type { BlockTable } from '../pipeline/ports.ts';
import type { Params, Store } from './clickhouse-client.ts';
import { withMutex } from './mutex.ts';

/** An INSERT of a body. */
export interface SettledInsert {
  /** A table, or a table with its columns. */
  readonly into: string;
  /** Of the body. */
  readonly columns: readonly Column[];
  /** What of the body is inserted; default: its columns. */
  readonly select?: string;
  readonly format: 'Native' | 'JSONEachRow';
}

/** Everything fails with `lane_closed` once another run has taken the turn. */
export interface SettledTurn {
  insert(insert: SettledInsert, bodies: readonly ArrayBuffer[]): Promise<void>;
  /** One `INSERT INTO … SELECT …` of rows that are in the store already. */
  copy(into: string, select: string, params?: Params): Promise<void>;
  check(): Promise<void>;
  /** A statement that cannot look for itself: the turn is looked up just before it, then what else must hold. */
  command(sql: string, check?: () => Promise<void>): Promise<void>;
}

export const BLOCK_COLUMN_LISTS: Readonly<Record<BlockTable, readonly Column[]>> = {
  logs: LOG_COLUMNS,
  dead_letters: DEAD_LETTER_COLUMNS,
};

/** Names of the columns that blocks carry, for a statement. */
export const BLOCK_COLUMNS: Readonly<Record<BlockTable, string>> = {
  logs: namesOf(LOG_COLUMNS),
  dead_letters: namesOf(DEAD_LETTER_COLUMNS),
};

/** `replay` and `dlq redrive`: two of them at once could lose or double a record. */
const SETTLED_MUTEX = 'redrive';
const QUERY_PREFIX = 'redrive-';
const MAX_RUN = 2 ** 47;
const POLL_MS = 100;
const QUIET_DEADLINE_MS = 60_000;
/** Looked up for every block of rows: `materialize` keeps it from being done once, before the first. */
const HAS_TURN = `throwIf(joinGet('redrive_turn', 'run', materialize(toUInt8(0))) != {run:UInt64},
  'Another run has taken the turn') = 0`;
/** Old events may fall into any number of days. */
const SETTINGS = {
  max_partitions_per_insert_block: '0',
  materialized_views_ignore_errors: 0,
  insert_deduplicate: 0,
} as const;

function namesOf(columns: readonly Column[]): string {
  return columns.map(({ name }) => name).join(', ');
}

/** Runs `work` while no other run writes settled rows; waits a minute for another one, then throws `store_unavailable`. */
export async function withSettledTurn<T>(store: Store, work: (turn: SettledTurn) => Promise<T>): Promise<T> {
  return await withMutex(store, { name: SETTLED_MUTEX }, async () => {
    const run = randomInt(1, MAX_RUN);
    await store.insertJson('redrive_turn', [{ one: 0, run }]);
    await untilQuiet(store);
    return await work(createTurn(store, run));
  });
}

/** Statements of a run that died may still be under way; no further insert can begin. */
async function untilQuiet(store: Store): Promise<void> {
  const deadline = performance.now() + QUIET_DEADLINE_MS;
  for (;;) {
    const [row] = await store.query<{ running: number }>(
      'SELECT count() AS running FROM system.processes WHERE startsWith(query_id, {prefix:String})',
      { prefix: QUERY_PREFIX },
    );
    if ((row?.running ?? 0) === 0) return;
    if (performance.now() > deadline) {
      throw new MillraceError('store_unavailable', 'An earlier run is still storing records; try again.');
    }
    await delay(POLL_MS);
  }
}

function createTurn(store: Store, run: number): SettledTurn {
  const nextId = (): string => QUERY_PREFIX + randomUUID();
  const check = async (): Promise<void> => {
    await store.query(`SELECT 1 WHERE ${HAS_TURN}`, { run });
  };
  return {
    check,
    async insert({ into, columns, select = namesOf(columns), format }, bodies) {
      const structure = columns.map(({ name, type }) => `${name} ${type}`).join(', ');
      const input = `input('${structure.replaceAll("'", "\\'")}')`;
      const statement = `INSERT INTO ${into} SELECT ${select} FROM ${input} WHERE ${HAS_TURN} FORMAT ${format}`;
      await store.insertBytes({ statement, params: { run }, settings: SETTINGS, queryId: nextId() }, bodies);
    },
    async copy(into, select, params = {}) {
      const statement = `INSERT INTO ${into} SELECT * FROM (${select}) WHERE ${HAS_TURN}`;
      await store.command(statement, { ...params, run }, { settings: SETTINGS, queryId: nextId() });
    },
    async command(sql, checkAlso) {
      await check();
      await checkAlso?.();
      await store.command(sql, {}, { settings: { mutations_sync: 2 }, queryId: nextId() });
    },
  };
}
