/**
 * Where the pipeline's blocks go: implements its port on the HTTP client. Nothing is retried here; the error's
 * `isRetryable` tells the writer whether to wait or to bisect.
 */
import { type Column, DEAD_LETTER_COLUMNS, LOG_COLUMNS } from '../event/columns.ts';
import { failpoint, isSabotaged } from '../failpoints.ts';
import type { Block } from '../pipeline/parse-protocol.ts';
import type { BlockStore, BlockTable, LaneToken, LedgerEntry } from '../pipeline/ports.ts';
import type { Store } from './clickhouse-client.ts';
import { guardCondition, guardParams, nextWriteId } from './lane-guard.ts';
import { LedgerAttempts } from './ledger-attempts.ts';
import { sumUpLedger } from './ledger-sums.ts';

export interface BlockStoreOptions {
  /** From `createOwnerName`: the same as that of the claims. */
  readonly owner: string;
  /** False: inserts ask nobody. For tests and for measuring what the guard costs. Default true. */
  readonly isGuarded?: boolean;
}

interface Target {
  readonly table: string;
  readonly columns: readonly Column[];
  readonly format: string;
}

const BLOCK_TARGETS: Readonly<Record<BlockTable, Target>> = {
  logs: { table: 'logs', columns: LOG_COLUMNS, format: 'Native' },
  dead_letters: { table: 'dead_letters', columns: DEAD_LETTER_COLUMNS, format: 'Native' },
};

const LEDGER_TARGET: Target = {
  table: 'ledger',
  columns: [
    { name: 'source', type: 'UInt8' },
    { name: 'partition', type: 'UInt16' },
    { name: 'epoch', type: 'UInt64' },
    { name: 'from_offset', type: 'UInt64' },
    { name: 'to_offset', type: 'UInt64' },
    { name: 'received', type: 'UInt64' },
    { name: 'stored', type: 'UInt64' },
    { name: 'already_present', type: 'UInt64' },
    { name: 'lost_upstream', type: 'UInt64' },
    { name: 'filtered', type: 'Map(LowCardinality(String), UInt64)' },
    { name: 'dead_lettered', type: 'Map(LowCardinality(String), UInt64)' },
  ],
  format: 'JSONEachRow',
};

/** The next round makes up for a ledger row that did not come through. */
const LEDGER_TIMEOUT_MS = 10_000;
const SUM_INTERVAL_MS = 600_000;

/**
 * The columns that blocks carry, named: a block may leave any of them out, and then its rows have the default of the
 * column's type (no column of the lists has another); one that the table gets later needs no change here.
 */
function insertStatement({ table, columns, format }: Target, guard: string | undefined): string {
  const names = columns.map(({ name }) => name).join(', ');
  if (guard === undefined) return `INSERT INTO ${table} (${names}) FORMAT ${format}`;
  const structure = columns
    .map(({ name, type }) => `${name} ${type}`)
    .join(', ')
    .replaceAll("'", "\\'");
  return `INSERT INTO ${table} (${names}) SELECT ${names} FROM input('${structure}') WHERE ${guard} FORMAT ${format}`;
}

function toLedgerRow(entry: LedgerEntry, epoch: number): object {
  return {
    source: entry.source,
    partition: entry.partition,
    epoch,
    from_offset: entry.fromOffset,
    to_offset: entry.toOffset,
    received: entry.receivedCount,
    stored: entry.storedCount,
    already_present: entry.alreadyPresentCount,
    lost_upstream: entry.lostUpstreamCount,
    filtered: entry.filtered,
    dead_lettered: entry.deadLettered,
  };
}

/** Sums the ledger up now and then, beside everything else: nothing waits for it, and what fails is made up for. */
function createSumming(store: Store): () => void {
  let nextMs = 0;
  return () => {
    if (performance.now() < nextMs) return;
    nextMs = Number.POSITIVE_INFINITY;
    void sumUpLedger(store)
      .catch(() => undefined)
      .finally(() => {
        nextMs = performance.now() + SUM_INTERVAL_MS;
      });
  };
}

export function createBlockStore(store: Store, options: BlockStoreOptions): BlockStore {
  const { owner, isGuarded = true } = options;
  const isAsking = (): boolean => isGuarded && !isSabotaged('skip_guard');
  const attempts = new LedgerAttempts(store);
  const sumUp = createSumming(store);
  return {
    async insertBlocks(
      table: BlockTable,
      blocks: readonly Block[],
      tokens: readonly LaneToken[],
    ): Promise<void> {
      await failpoint('insert_before');
      const guard = isAsking() ? guardCondition(store) : undefined;
      const statement = insertStatement(BLOCK_TARGETS[table], guard);
      const params = guard === undefined ? {} : guardParams(tokens);
      await store.insertBytes(
        { statement, params, queryId: nextWriteId(owner) },
        blocks.map(({ bytes }) => bytes),
      );
      await failpoint('insert_after');
    },
    async insertLedger(entries: readonly LedgerEntry[]): Promise<void> {
      if (entries.length === 0) return;
      const statement = insertStatement(LEDGER_TARGET, isAsking() ? guardCondition(store) : undefined);
      const epochs = await attempts.begin(entries);
      const rows = entries.map((entry, i) => JSON.stringify(toLedgerRow(entry, epochs[i] ?? entry.epoch)));
      await store.insertBytes(
        {
          statement,
          params: isAsking() ? guardParams(entries) : {},
          queryId: nextWriteId(owner),
          signal: AbortSignal.timeout(LEDGER_TIMEOUT_MS),
        },
        [new TextEncoder().encode(rows.join('\n')).buffer],
      );
      attempts.end(entries);
      sumUp();
    },
  };
}
