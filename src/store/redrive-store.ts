/**
 * What driving dead letters again does in ClickHouse: looks which records are stored, stores the missing ones, and
 * marks the letters that moved.
 *
 * Its inserts carry no lane token: the lanes may belong to others. They only write below the end of a lane's ledger,
 * where its owner is done. Runs exclude each other by a mutex, and one that was stopped until its mutex expired by the
 * turn: each insert looks, when its block arrives, whether it is still this run's.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError } from '../errors.ts';
import { DEAD_LETTER_COLUMNS, type LetterContent, LOG_COLUMNS } from '../event/columns.ts';
import type { Block } from '../pipeline/parse-protocol.ts';
import type { BlockTable, LaneKey } from '../pipeline/ports.ts';
import type { Store } from './clickhouse-client.ts';
import { readLedgerEnds } from './ledger-sums.ts';
import { withMutex } from './mutex.ts';

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

/** Only for the time of `withRedriveTurn`. */
export interface RedriveStore {
  /** End of the ledger (exclusive) by lane, keyed as `laneName` gives. */
  ledgerEnds(): Promise<ReadonlyMap<string, number>>;
  /** Which records of the ranges `logs` holds. */
  storedRecords(ranges: readonly LaneRange[]): Promise<StoredRecord[]>;
  /** How many letters of single records, or of the rest of a batch, lie in the range. */
  innerLetterCount(range: LaneRange): Promise<number>;
  /** Fails with `lane_closed` when another run has taken the turn. */
  insert(table: BlockTable, blocks: readonly Block[]): Promise<void>;
  mark(marks: readonly RedriveMark[]): Promise<void>;
}

const COLUMNS = { logs: LOG_COLUMNS, dead_letters: DEAD_LETTER_COLUMNS } as const;
const QUERY_PREFIX = 'redrive-';
const MAX_RUN = 2 ** 47;
const POLL_MS = 100;
const QUIET_DEADLINE_MS = 60_000;

export function laneName({ source, partition }: LaneKey): string {
  return `${source}/${partition}`;
}

/** Runs `work` while no other redrive writes; waits a minute for another one, then throws `store_unavailable`. */
export async function withRedriveTurn<T>(
  store: Store,
  work: (redrive: RedriveStore) => Promise<T>,
): Promise<T> {
  return await withMutex(store, { name: 'redrive' }, async () => {
    const run = randomInt(1, MAX_RUN);
    await store.insertJson('redrive_turn', [{ one: 0, run }]);
    await untilQuiet(store);
    return await work(createRedriveStore(store, run));
  });
}

/** Inserts of a run that died may still be under way; no further one can begin. */
async function untilQuiet(store: Store): Promise<void> {
  const deadline = performance.now() + QUIET_DEADLINE_MS;
  for (;;) {
    const [row] = await store.query<{ running: number }>(
      'SELECT count() AS running FROM system.processes WHERE startsWith(query_id, {prefix:String})',
      { prefix: QUERY_PREFIX },
    );
    if ((row?.running ?? 0) === 0) return;
    if (performance.now() > deadline) {
      throw new MillraceError('store_unavailable', 'An earlier redrive is still storing records; try again.');
    }
    await delay(POLL_MS);
  }
}

function createRedriveStore(store: Store, run: number): RedriveStore {
  return {
    async ledgerEnds() {
      const ends = await readLedgerEnds(store);
      return new Map(ends.map((lane) => [laneName(lane), lane.end]));
    },
    storedRecords: (ranges) => selectStored(store, ranges),
    async innerLetterCount({ source, partition, offset, toOffset }) {
      const [row] = await store.query<{ letters: number }>(
        `SELECT count() AS letters FROM dead_letters WHERE source = {source:UInt8}
         AND partition = {partition:UInt16} AND offset >= {offset:UInt64} AND offset < {toOffset:UInt64}
         AND content IN ('record', 'records')`,
        { source, partition, offset, toOffset },
      );
      return row?.letters ?? 0;
    },
    async insert(table, blocks) {
      if (blocks.length === 0) return;
      await store.insertBytes(
        { statement: insertStatement(table), params: { run }, queryId: QUERY_PREFIX + randomUUID() },
        blocks.map(({ bytes }) => bytes),
      );
    },
    mark: (marks) => store.insertJson('redrives', marks.map(toRow)),
  };
}

/** The turn is looked up for every block when it arrives: `materialize` keeps it from being done before the body. */
function insertStatement(table: BlockTable): string {
  const names = COLUMNS[table].map(({ name }) => name).join(', ');
  const structure = COLUMNS[table].map(({ name, type }) => `${name} ${type}`).join(', ');
  return `INSERT INTO ${table} (${names}) SELECT ${names} FROM input('${structure.replaceAll("'", "\\'")}')
    WHERE throwIf(joinGet('redrive_turn', 'run', materialize(toUInt8(0))) != {run:UInt64}) = 0 FORMAT Native`;
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
    attempted_at: isoTime(Date.now() * 1000),
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
