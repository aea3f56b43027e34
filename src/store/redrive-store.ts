/**
 * What driving dead letters again does in ClickHouse: looks which records are stored, stores the missing ones, and
 * marks the letters that moved.
 *
 * Its inserts carry no lane token: the lanes may belong to others. They only write below the end of a lane's ledger,
 * where its owner is done. Minutes that get rows are written down first, so that the next run repairs the rollups of
 * those that an insert which broke off has left without their counts.
 */
import type { LetterContent } from '../event/columns.ts';
import type { Block } from '../pipeline/parse-protocol.ts';
import type { BlockTable, LaneKey } from '../pipeline/ports.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Store } from './clickhouse-client.ts';
import { laneCode } from './lane-guard.ts';
import { readLedgerEnds } from './ledger-sums.ts';
import { repairTouched } from './replay-fence.ts';
import { finishEarlier } from './replay-store.ts';
import { createReplayTables, dropReplayTables } from './replay-tables.ts';
import {
  BLOCK_COLUMN_LISTS,
  BLOCK_COLUMNS,
  type SettledInsert,
  type SettledTurn,
  withSettledTurn,
} from './settled-rows.ts';

/** Offsets [offset, toOffset) of a lane. */
export interface LaneRange extends LaneKey {
  readonly offset: number;
  readonly toOffset: number;
}

export interface StoredRecord extends LaneKey {
  readonly offset: number;
  /** Record time, microseconds. */
  readonly timeUs: number;
}

/** What became of one letter. */
export interface RedriveMark extends LaneKey {
  readonly offset: number;
  readonly recordTimeUs: number;
  readonly content: LetterContent | '';
  readonly recordCount: number;
  readonly firstReason: string;
  readonly isMoved: boolean;
  /** Of a letter that stays. */
  readonly reason?: string;
  readonly detail?: string;
  /** Of a letter that moved. */
  readonly storedCount?: number;
  readonly filtered?: Readonly<Record<string, number>>;
  readonly deadLettered?: Readonly<Record<string, number>>;
}

/** Only for the time of `withRedriveTurn`; what it writes fails with `lane_closed` when another run has taken the turn. */
export interface RedriveStore {
  /** End of the ledger (exclusive) of a lane; 0 without any. */
  ledgerEnds(lanes: readonly LaneKey[]): Promise<(lane: LaneKey) => number>;
  /** Which records of the ranges `logs` holds. */
  storedRecords(ranges: readonly LaneRange[]): Promise<StoredRecord[]>;
  /** How many letters of single records, or of the rest of a batch, lie in the range. */
  innerLetterCount(range: LaneRange): Promise<number>;
  insert(table: BlockTable, blocks: readonly Block[]): Promise<void>;
  mark(marks: readonly RedriveMark[]): Promise<void>;
}

const TOUCHED_MINUTES: SettledInsert = {
  into: 'replay_touched',
  columns: BLOCK_COLUMN_LISTS.logs,
  select: 'DISTINCT source, partition, toStartOfMinute(timestamp)',
  format: 'Native',
};

const MARK_COLUMNS = [
  { name: 'source', type: 'UInt8' },
  { name: 'partition', type: 'UInt16' },
  { name: 'offset', type: 'UInt64' },
  { name: 'record_time', type: "DateTime64(6, 'UTC')" },
  { name: 'content', type: 'LowCardinality(String)' },
  { name: 'is_moved', type: 'Bool' },
  { name: 'first_reason', type: 'LowCardinality(String)' },
  { name: 'record_count', type: 'UInt32' },
  { name: 'reason', type: 'LowCardinality(String)' },
  { name: 'detail', type: 'String' },
  { name: 'stored', type: 'UInt64' },
  { name: 'filtered', type: 'Map(LowCardinality(String), UInt64)' },
  { name: 'dead_lettered', type: 'Map(LowCardinality(String), UInt64)' },
] as const;

const MARKS: SettledInsert = {
  into: `redrives (${MARK_COLUMNS.map(({ name }) => name).join(', ')})`,
  columns: MARK_COLUMNS,
  format: 'JSONEachRow',
};

export function laneName({ source, partition }: LaneKey): string {
  return `${source}/${partition}`;
}

/**
 * Runs `work` while no other redrive or replay writes, after what an earlier one left unfinished; waits a minute for
 * another one, then throws `store_unavailable`.
 */
export async function withRedriveTurn<T>(
  store: Store,
  work: (redrive: RedriveStore) => Promise<T>,
  telemetry?: Telemetry,
): Promise<T> {
  return await withSettledTurn(store, async (turn) => {
    await finishEarlier(store, turn, { telemetry });
    await createReplayTables(turn, ['replay_touched']);
    const redrive = new TurnStore(store, turn);
    const result = await work(redrive);
    if (redrive.isDoubtful) await repairTouched(store, telemetry);
    await dropReplayTables(turn);
    return result;
  });
}

class TurnStore implements RedriveStore {
  /** An insert failed: its rows may be stored without their counts. */
  isDoubtful = false;
  readonly #store: Store;
  readonly #turn: SettledTurn;

  constructor(store: Store, turn: SettledTurn) {
    this.#store = store;
    this.#turn = turn;
  }

  async ledgerEnds(lanes: readonly LaneKey[]): Promise<(lane: LaneKey) => number> {
    const ends = await readLedgerEnds(this.#store, lanes);
    const byLane = new Map(ends.map((lane) => [laneCode(lane), lane.end]));
    return (lane) => byLane.get(laneCode(lane)) ?? 0;
  }

  async storedRecords(ranges: readonly LaneRange[]): Promise<StoredRecord[]> {
    return await selectStored(this.#store, ranges);
  }

  async innerLetterCount({ source, partition, offset, toOffset }: LaneRange): Promise<number> {
    const [row] = await this.#store.query<{ letters: number }>(
      `SELECT count() AS letters FROM dead_letters WHERE source = {source:UInt8}
       AND partition = {partition:UInt16} AND offset >= {offset:UInt64} AND offset < {toOffset:UInt64}
       AND content IN ('record', 'records')`,
      { source, partition, offset, toOffset },
    );
    return row?.letters ?? 0;
  }

  async insert(table: BlockTable, blocks: readonly Block[]): Promise<void> {
    if (blocks.length === 0) return;
    const bodies = blocks.map(({ bytes }) => bytes);
    if (table === 'logs') await this.#turn.insert(TOUCHED_MINUTES, bodies);
    const into = `${table} (${BLOCK_COLUMNS[table]})`;
    try {
      await this.#turn.insert({ into, columns: BLOCK_COLUMN_LISTS[table], format: 'Native' }, bodies);
    } catch (error) {
      this.isDoubtful = true;
      throw error;
    }
  }

  async mark(marks: readonly RedriveMark[]): Promise<void> {
    if (marks.length === 0) return;
    const rows = marks.map((mark) => JSON.stringify(toRow(mark))).join('\n');
    await this.#turn.insert(MARKS, [new TextEncoder().encode(rows).buffer]);
  }
}

/** One query for ranges of one offset, which most letters are; one for each other. */
async function selectStored(store: Store, ranges: readonly LaneRange[]): Promise<StoredRecord[]> {
  const singles = ranges.filter(({ offset, toOffset }) => toOffset - offset === 1);
  const others = ranges.filter(({ offset, toOffset }) => toOffset - offset > 1);
  const select = `SELECT DISTINCT source, partition, offset, toUnixTimestamp64Micro(ingested_at) AS timeUs FROM logs`;
  const found: StoredRecord[] = [];
  if (singles.length > 0) {
    const condition = 'offset IN {offsets:Array(UInt64)} AND source IN {sources:Array(UInt8)}';
    found.push(
      ...(await store.query<StoredRecord>(`${select} WHERE ${condition}`, {
        offsets: [...new Set(singles.map(({ offset }) => offset))],
        sources: [...new Set(singles.map(({ source }) => source))],
      })),
    );
  }
  for (const { source, partition, offset, toOffset } of others) {
    const lane = 'source = {source:UInt8} AND partition = {partition:UInt16}';
    const condition = `${lane} AND offset >= {offset:UInt64} AND offset < {toOffset:UInt64}`;
    const params = { source, partition, offset, toOffset };
    found.push(...(await store.query<StoredRecord>(`${select} WHERE ${condition}`, params)));
  }
  return found;
}

function toRow(mark: RedriveMark): object {
  return {
    source: mark.source,
    partition: mark.partition,
    offset: mark.offset,
    record_time: isoTime(mark.recordTimeUs),
    content: mark.content,
    is_moved: mark.isMoved,
    first_reason: mark.firstReason,
    record_count: mark.recordCount,
    reason: mark.reason ?? '',
    detail: mark.detail ?? '',
    stored: mark.storedCount ?? 0,
    filtered: mark.filtered ?? {},
    dead_lettered: mark.deadLettered ?? {},
  };
}

/** With six fraction digits: a bare number would be taken for seconds. */
function isoTime(us: number): string {
  const iso = new Date(Math.floor(us / 1000)).toISOString();
  return `${iso.slice(0, -1)}${String(us % 1000).padStart(3, '0')}Z`;
}
