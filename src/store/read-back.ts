/**
 * What is stored of lanes: (offset, record time) of the rows from an offset on. The rows come in binary and are sorted
 * by the server. Mostly they are as many as were under way when somebody died; after a partition was cut off it may be
 * a whole history, which is read in pieces.
 */
import type { BlockTable, LaneKey, PresentRows } from '../pipeline/ports.ts';
import type { Store } from './clickhouse-client.ts';
import { laneCode } from './lane-guard.ts';

/** Where to read a lane from, and to (exclusive), where that is limited. */
export interface LaneStart extends LaneKey {
  readonly fromOffset: number;
  readonly toOffset?: number | undefined;
}

const TIME_COLUMN: Readonly<Record<BlockTable, string>> = {
  logs: 'ingested_at',
  dead_letters: 'record_time',
};

/** One row of RowBinary: source, partition, offset, time. */
const ROW = { source: 0, partition: 1, offset: 3, time: 11, size: 19 };

/** Least rows of a lane that are read in one claim. */
const MIN_SHARE = 1000;

export const NO_ROWS: PresentRows = { offsets: new Float64Array(0), times: new Float64Array(0) };

/** Rows of the lanes at or past their starts, and before their ends, as a condition. Integers only: nothing to escape. */
export function storedSince(starts: readonly LaneStart[]): string {
  const lanes = starts.map(
    ({ source, partition, fromOffset, toOffset }) =>
      `source = ${source} AND partition = ${partition} AND offset >= ${fromOffset}` +
      (toOffset === undefined ? '' : ` AND offset < ${toOffset}`),
  );
  return `(${lanes.join(' OR ')})`;
}

/** What a table holds of a lane; with `toOffset` only what lies before that, and there is more. */
export interface LaneRows {
  readonly rows: PresentRows;
  readonly toOffset?: number;
}

/**
 * What `table` holds of the lanes at or past their starts, by lane. When that is more than `maxRows` rows, each lane is
 * cut to its share of them, at an offset.
 */
export async function readPresent(
  store: Store,
  table: BlockTable,
  scope: { readonly starts: readonly LaneStart[]; readonly maxRows: number },
): Promise<(lane: LaneKey) => LaneRows> {
  const { starts, maxRows } = scope;
  const present = await readRows(store, table, { starts, limit: maxRows + 1 });
  let count = 0;
  for (const { offsets } of present.values()) count += offsets.length;
  if (count <= maxRows) return (lane) => ({ rows: present.get(laneCode(lane)) ?? NO_ROWS });
  const share = Math.max(MIN_SHARE, Math.floor(maxRows / starts.length));
  const cut = new Map<number, LaneRows>();
  for (const start of starts) {
    const code = laneCode(start);
    const rows = await readRows(store, table, { starts: [start], limit: share + 1 });
    cut.set(code, cutRows(rows.get(code) ?? NO_ROWS, share));
  }
  return (lane) => cut.get(laneCode(lane)) ?? { rows: NO_ROWS };
}

/** Read one row past the share, whose offset is not complete then. */
function cutRows(rows: PresentRows, share: number): LaneRows {
  const toOffset = rows.offsets[share];
  return toOffset === undefined ? { rows } : { rows: rowsBelow(rows, toOffset), toOffset };
}

export function rowsBelow({ offsets, times }: PresentRows, toOffset: number): PresentRows {
  const end = offsets.findIndex((offset) => offset >= toOffset);
  return end < 0 ? { offsets, times } : { offsets: offsets.slice(0, end), times: times.slice(0, end) };
}

async function readRows(
  store: Store,
  table: BlockTable,
  scope: { readonly starts: readonly LaneStart[]; readonly limit: number },
): Promise<ReadonlyMap<number, PresentRows>> {
  const bytes = await store.selectBytes(
    `SELECT source, partition, offset, toUnixTimestamp64Micro(${TIME_COLUMN[table]}) FROM ${table}
     WHERE ${storedSince(scope.starts)} ORDER BY source, partition, offset LIMIT ${scope.limit} FORMAT RowBinary`,
  );
  return decodeRows(bytes);
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
