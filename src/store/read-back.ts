/**
 * What is stored of lanes: the end of their ledger, and (offset, record time) of the rows from an offset on. The rows
 * come in binary and are sorted by the server: there may be as many as were under way when somebody died.
 */
import type { BlockTable, LaneKey, PresentRows } from '../pipeline/ports.ts';
import type { Store } from './clickhouse-client.ts';
import { laneCode, lanesCondition } from './lane-guard.ts';

/** Where to read a lane from. */
export interface LaneStart extends LaneKey {
  readonly fromOffset: number;
  /** Exclusive; absent: to the end. */
  readonly toOffset?: number | undefined;
}

const TIME_COLUMN: Readonly<Record<BlockTable, string>> = {
  logs: 'ingested_at',
  dead_letters: 'record_time',
};

/** One row of RowBinary: source, partition, offset, time. */
const ROW = { source: 0, partition: 1, offset: 3, time: 11, size: 19 };

export const NO_ROWS: PresentRows = { offsets: new Float64Array(0), times: new Float64Array(0) };

/**
 * Ends of the ledgers (exclusive) by lane; absent for a lane that has none. The last holder decides: after a partition
 * was cut off its offsets, and the ledger, go back.
 */
export async function readLedgerEnds(
  store: Store,
  lanes: readonly LaneKey[],
): Promise<ReadonlyMap<number, number>> {
  const rows = await store.query<LaneKey & { end: number }>(
    `SELECT source, partition, argMax(to_offset, (epoch, to_offset)) AS end FROM ledger WHERE ${lanesCondition(lanes)}
     GROUP BY source, partition`,
  );
  return new Map(rows.map((row) => [laneCode(row), row.end]));
}

/** Rows of the lanes at or past their starts, and below their ends, as a condition. Integers only: nothing to escape. */
export function storedSince(starts: readonly LaneStart[]): string {
  const lanes = starts.map(
    ({ source, partition, fromOffset, toOffset }) =>
      `source = ${source} AND partition = ${partition} AND offset >= ${fromOffset}` +
      (toOffset === undefined ? '' : ` AND offset < ${toOffset}`),
  );
  return `(${lanes.join(' OR ')})`;
}

/** What `table` holds of the lanes at or past their starts, by lane; `NO_ROWS` is left out. */
export async function readPresent(
  store: Store,
  table: BlockTable,
  starts: readonly LaneStart[],
): Promise<(lane: LaneKey) => PresentRows> {
  const bytes = await store.selectBytes(
    `SELECT source, partition, offset, toUnixTimestamp64Micro(${TIME_COLUMN[table]}) FROM ${table}
     WHERE ${storedSince(starts)} ORDER BY source, partition, offset FORMAT RowBinary`,
  );
  const present = decodeRows(bytes);
  return (lane) => present.get(laneCode(lane)) ?? NO_ROWS;
}

function decodeRows(bytes: Buffer): ReadonlyMap<number, PresentRows> {
  const present = new Map<number, PresentRows>();
  for (let start = 0; start < bytes.length; ) {
    const code = codeAt(bytes, start);
    let end = start + ROW.size;
    while (end < bytes.length && codeAt(bytes, end) === code) end += ROW.size;
    present.set(code, decodeLane(bytes.subarray(start, end)));
    start = end;
  }
  return present;
}

function codeAt(bytes: Buffer, at: number): number {
  return laneCode({
    source: bytes.readUInt8(at + ROW.source),
    partition: bytes.readUInt16LE(at + ROW.partition),
  });
}

function decodeLane(rows: Buffer): PresentRows {
  const count = rows.length / ROW.size;
  const offsets = new Float64Array(count);
  const times = new Float64Array(count);
  for (let i = 0; i < count; i += 1) {
    offsets[i] = Number(rows.readBigUInt64LE(i * ROW.size + ROW.offset));
    times[i] = Number(rows.readBigInt64LE(i * ROW.size + ROW.time));
  }
  return { offsets, times };
}
