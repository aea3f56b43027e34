/**
 * What becomes of the rows and letters of one chunk of a replay. They go into tables of their own first; one statement
 * then takes from there what is wanted: what is stored nowhere (`missing`), or everything (`replace`).
 */
import type { DeadLetterReason } from '../event/reasons.ts';
import { failpoint } from '../failpoints.ts';
import type { Block } from '../pipeline/parse-protocol.ts';
import type { BlockTable } from '../pipeline/ports.ts';
import type {
  ChunkBlocks,
  ChunkRange,
  ChunkStore,
  LaneRange,
  ReplayMode,
  WrittenCounts,
} from '../replay/ports.ts';
import type { Params, Store } from './clickhouse-client.ts';
import { MARKED, markBack } from './replay-marks.ts';
import { rangesCondition } from './replay-tables.ts';
import { BLOCK_COLUMN_LISTS, BLOCK_COLUMNS, type SettledTurn } from './settled-rows.ts';

/** Letters of these reasons say nothing about parsing: `dlq redrive` is their way back. */
const HELD_REASONS: readonly DeadLetterReason[] = ['insert_refused', 'poison_record'];
const HELD = `reason IN (${HELD_REASONS.map((reason) => `'${reason}'`).join(', ')})`;

const LETTERS = BLOCK_COLUMNS.dead_letters;
const LOGS = BLOCK_COLUMNS.logs;

/** A chunk's place as conditions. */
interface ChunkSql {
  readonly params: Params;
  /** Rows of its offsets in any table. */
  readonly range: string;
  /** (offset, record time) of what is stored of it now. */
  readonly present: string;
}

function chunkSql(chunk: ChunkRange): ChunkSql {
  const range = rangesCondition([chunk]);
  return {
    params: { received: chunk.receivedUs },
    range,
    present: `(SELECT offset, ingested_at AS time FROM logs WHERE ${range}
      UNION ALL SELECT offset, record_time AS time FROM dead_letters WHERE ${range})`,
  };
}

/** Rows of records without a time of their own are known by the offset alone. */
function knownByOffset(time: string, { present }: ChunkSql): string {
  return `(${time} = fromUnixTimestamp64Micro({received:Int64}) AND offset IN (SELECT offset FROM ${present}))`;
}

function isAbsent(time: string, sql: ChunkSql): string {
  return `(offset, ${time}) NOT IN ${sql.present} AND NOT ${knownByOffset(time, sql)}`;
}

export function createChunkStore(store: Store, turn: SettledTurn, mode: ReplayMode): ChunkStore {
  return {
    async heldOffsets(range: LaneRange): Promise<readonly number[]> {
      const rows = await store.query<{ offset: number }>(
        `SELECT DISTINCT offset FROM dead_letters WHERE ${rangesCondition([range])} AND ${HELD} ORDER BY offset`,
      );
      return rows.map(({ offset }) => offset);
    },
    async put(chunk: ChunkRange, blocks: ChunkBlocks): Promise<WrittenCounts> {
      await fill(turn, { table: 'logs', into: 'replay_chunk_logs' }, blocks.logs);
      await fill(turn, { table: 'dead_letters', into: 'replay_chunk_letters' }, blocks.deadLetters);
      const sql = chunkSql(chunk);
      return mode === 'missing' ? await storeMissing(store, turn, sql) : await stage(store, turn, sql);
    },
  };
}

/** Blocks of `table` in the place of what the table `into` holds. */
async function fill(
  turn: SettledTurn,
  { table, into }: { readonly table: BlockTable; readonly into: string },
  blocks: readonly Block[],
): Promise<void> {
  await turn.command(`TRUNCATE TABLE ${into}`);
  if (blocks.length === 0) return;
  await turn.insert(
    { into: `${into} (${BLOCK_COLUMNS[table]})`, columns: BLOCK_COLUMN_LISTS[table], format: 'Native' },
    blocks.map(({ bytes }) => bytes),
  );
}

async function storeMissing(store: Store, turn: SettledTurn, sql: ChunkSql): Promise<WrittenCounts> {
  const { params } = sql;
  const rows = `FROM replay_chunk_logs WHERE ${isAbsent('ingested_at', sql)}`;
  const letters = `FROM replay_chunk_letters WHERE ${isAbsent('record_time', sql)}`;
  const [counts] = await store.query<{ rowCount: number; letterCount: number }>(
    `SELECT (SELECT count() ${rows}) AS rowCount, (SELECT count() ${letters}) AS letterCount`,
    params,
  );
  const { rowCount = 0, letterCount = 0 } = counts ?? {};
  if (rowCount > 0) {
    // The views count these rows, perhaps again: whoever deleted rows by hand left their counts behind.
    const minutes = `SELECT DISTINCT source, partition, toStartOfMinute(timestamp) ${rows}`;
    await turn.copy('replay_touched', minutes, params);
    await turn.copy(`logs (${LOGS})`, `SELECT ${LOGS} ${rows}`, params);
    await failpoint('replay_stored');
  }
  if (letterCount > 0) {
    await markBack(turn, `(SELECT * ${letters})`, params);
    await turn.copy(`dead_letters (${LETTERS})`, `SELECT ${LETTERS} ${letters}`, params);
  }
  return { rowCount, letterCount, keptCount: 0 };
}

/**
 * Rows keep the time of arrival that the stored row of the same record has: retention counts from it. Stored rows of
 * which no record was read stay as they are: Kafka has compacted their record away, or it carries no time.
 */
async function stage(store: Store, turn: SettledTurn, sql: ChunkSql): Promise<WrittenCounts> {
  const { params, range } = sql;
  const isNew = `NOT ${knownByOffset('ingested_at', sql)}`;
  const read = `(SELECT offset, ingested_at FROM replay_chunk_logs
    UNION ALL SELECT offset, record_time FROM replay_chunk_letters)`;
  const kept = `FROM logs WHERE ${range} AND (offset, ingested_at) NOT IN ${read}`;
  const rows = `FROM replay_chunk_logs WHERE ${isNew}`;
  const letters = `FROM replay_chunk_letters WHERE (offset, record_time, reason) NOT IN
    (SELECT offset, record_time, reason FROM dead_letters WHERE ${range})
    AND NOT ${knownByOffset('record_time', sql)}`;
  const [counts] = await store.query<{ rowCount: number; letterCount: number; keptCount: number }>(
    `SELECT (SELECT count() ${rows}) AS rowCount, (SELECT count() ${letters}) AS letterCount,
       (SELECT count() ${kept}) AS keptCount`,
    params,
  );
  await turn.copy(
    `replay_logs (${LOGS}, stored_at)`,
    `SELECT ${LOGS}, if(arrived = toDateTime(0), stored_at, arrived) FROM (SELECT ${LOGS}, stored_at ${rows}) AS parsed
     ANY LEFT JOIN (SELECT offset, ingested_at, stored_at AS arrived FROM logs WHERE ${range}) AS stored
       USING (offset, ingested_at)`,
    params,
  );
  await turn.copy(`replay_logs (${LOGS}, stored_at)`, `SELECT ${LOGS}, stored_at ${kept}`);
  await turn.copy(`replay_letters (${LETTERS})`, `SELECT ${LETTERS} ${letters}`, params);
  await turn.copy(
    'replay_left_letters',
    `SELECT ${MARKED} FROM dead_letters
     WHERE ${range} AND NOT ${HELD} AND ((offset, record_time) IN (SELECT offset, ingested_at FROM replay_chunk_logs)
       OR (offset, record_time) IN (SELECT offset, record_time ${letters}))`,
    params,
  );
  await turn.copy('replay_back_letters', `SELECT ${MARKED} FROM replay_chunk_letters`);
  return { rowCount: 0, letterCount: 0, keptCount: 0, ...counts };
}
