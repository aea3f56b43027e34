/**
 * Rows below the end of a lane's ledger: the running program is done with them and nobody claims their lane to write
 * them, so these inserts ask for no token. Whoever uses this holds SETTLED_MUTEX, which keeps others like it out.
 */
import { DEAD_LETTER_COLUMNS, LOG_COLUMNS } from '../event/columns.ts';
import type { Block } from '../pipeline/parse-protocol.ts';
import type { BlockTable } from '../pipeline/ports.ts';
import type { Store } from './clickhouse-client.ts';

/** `replay` and `dlq redrive`: two of them at once could lose or double a record. */
export const SETTLED_MUTEX = 'redrive';

/** Names of the columns that blocks carry, for a statement. */
export const BLOCK_COLUMNS: Readonly<Record<BlockTable, string>> = {
  logs: LOG_COLUMNS.map(({ name }) => name).join(', '),
  dead_letters: DEAD_LETTER_COLUMNS.map(({ name }) => name).join(', '),
};

/** Old events may fall into any number of days. */
const ANY_PARTITIONS = { max_partitions_per_insert_block: '0' };

/** One INSERT of blocks of `table` into it, or into another table of its structure. */
export async function insertSettledRows(
  store: Store,
  target: { readonly table: BlockTable; readonly into?: string },
  blocks: readonly Block[],
): Promise<void> {
  const { table, into = table } = target;
  const statement = `INSERT INTO ${into} (${BLOCK_COLUMNS[table]}) FORMAT Native`;
  await store.insertBytes(
    { statement, settings: ANY_PARTITIONS },
    blocks.map(({ bytes }) => bytes),
  );
}

/** One `INSERT … SELECT …` of rows that are in the store already. */
export async function copySettledRows(
  store: Store,
  statement: string,
  params: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const settings = { ...ANY_PARTITIONS, materialized_views_ignore_errors: 0, insert_deduplicate: 0 };
  await store.command(statement, params, { settings });
}
