/**
 * Where the pipeline's blocks go: implements its port on the HTTP client. Nothing is retried here; the error's
 * `isRetryable` tells the writer whether to wait or to bisect.
 */
import { DEAD_LETTER_COLUMNS, LOG_COLUMNS } from '../event/columns.ts';
import type { Block } from '../pipeline/parse-protocol.ts';
import type { BlockStore, BlockTable, LedgerEntry } from '../pipeline/ports.ts';
import type { Store } from './clickhouse-client.ts';

/**
 * The columns that blocks carry, named: a block may leave any of them out, and then its rows have the column's
 * default; a column that the table gets later needs no change here.
 */
function insertStatement(table: BlockTable, columns: readonly { readonly name: string }[]): string {
  return `INSERT INTO ${table} (${columns.map(({ name }) => name).join(', ')}) FORMAT Native`;
}

const STATEMENTS: Readonly<Record<BlockTable, string>> = {
  logs: insertStatement('logs', LOG_COLUMNS),
  dead_letters: insertStatement('dead_letters', DEAD_LETTER_COLUMNS),
};

/** The next round makes up for a ledger row that did not come through. */
const LEDGER_TIMEOUT_MS = 10_000;

function toLedgerRow(entry: LedgerEntry): object {
  return {
    source: entry.source,
    partition: entry.partition,
    epoch: entry.epoch,
    from_offset: entry.fromOffset,
    to_offset: entry.toOffset,
    received: entry.receivedCount,
    stored: entry.storedCount,
    already_present: entry.alreadyPresentCount,
    filtered: entry.filtered,
    dead_lettered: entry.deadLettered,
  };
}

export function createBlockStore(store: Store): BlockStore {
  return {
    async insertBlocks(table: BlockTable, blocks: readonly Block[]): Promise<void> {
      const statement = STATEMENTS[table];
      await store.insertNative(
        { statement },
        blocks.map(({ bytes }) => bytes),
      );
    },
    async insertLedger(entries: readonly LedgerEntry[]): Promise<void> {
      await store.insertJson('ledger', entries.map(toLedgerRow), {
        signal: AbortSignal.timeout(LEDGER_TIMEOUT_MS),
      });
    },
  };
}
