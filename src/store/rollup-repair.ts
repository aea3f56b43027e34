/**
 * Makes the rollups of lanes agree with their rows again. A view is fed by the same insert as its table but not
 * atomically with it, so an insert that was cut off may have left rows without their counts.
 *
 * What differs is found first, by comparing what the views' own statements give now with what is stored; mostly nothing
 * does. Then minutes are deleted and computed from `logs`, and, as inserting minutes feeds the hours, hours after them
 * from the minutes. Buckets of which something may have expired (rollup-horizon.ts) are left as they are. Each statement holds the guard: once the lane is somebody else's, a deletion deletes nothing and an
 * insert fails. After a crash at any point the comparison finds what is left to do.
 */
import { failpoint, isFailpointArmed, isSabotaged } from '../failpoints.ts';
import type { LaneToken } from '../pipeline/ports.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Store } from './clickhouse-client.ts';
import { epochLiteral, laneCode, nextWriteId, revokedCondition } from './lane-guard.ts';
import { type LaneStart, storedSince } from './read-back.ts';
import { type Bucket, readRollupHorizon } from './rollup-horizon.ts';

export interface RepairOwner {
  readonly owner: string;
  readonly tokens: readonly LaneToken[];
  /** Told of buckets that were left as they are. */
  readonly telemetry?: Telemetry | undefined;
}

export interface RepairRequest extends RepairOwner {
  /** The rows from here on say which minutes were touched. */
  readonly starts: readonly LaneStart[];
}

interface Rollup {
  readonly table: string;
  readonly columns: readonly string[];
  /** Expressions of all columns that are equal for equal contents, however these were merged. */
  readonly comparable: readonly string[];
  /** The statement of its view. */
  readonly select: string;
}

const MINUTE_TABLES = ['events_1m', 'host_metrics_1m'];
const HOUR_TABLES = ['events_1h', 'host_metrics_1h'];
const HOUR_SECONDS = 3600;
/** Buckets per statement: keeps it well below the limits of its length. */
const BUCKETS_PER_STATEMENT = 500;

async function describeRollups(store: Store, tables: readonly string[]): Promise<Rollup[]> {
  const rows = await store.query<{ table: string; select: string; columns: [string, string][] }>(
    `SELECT table, any(as_select) AS select, groupArray((columns.name, type)) AS columns
     FROM system.columns AS columns
     JOIN (SELECT name, as_select FROM system.tables WHERE database = currentDatabase()) AS views
       ON views.name = concat(columns.table, '_view')
     WHERE database = currentDatabase() AND table IN {tables:Array(String)}
     GROUP BY table ORDER BY table`,
    { tables },
  );
  return rows.map(({ table, select, columns }) => ({
    table,
    select,
    columns: columns.map(([name]) => name),
    comparable: columns.map(([name, type]) => comparable(name, type)),
  }));
}

function comparable(name: string, type: string): string {
  if (type.startsWith('AggregateFunction')) return `finalizeAggregation(${name})`;
  // Sums of floating point numbers depend on their order in the last digits. A difference too many does no harm.
  return type.includes('(sum, Float64)') ? `toFloat32(${name})` : name;
}

/** The minutes into which rows at or past the starts fall, in order of time. */
async function readTouchedMinutes(store: Store, starts: readonly LaneStart[]): Promise<Bucket[]> {
  return await store.query<Bucket>(
    `SELECT DISTINCT source, partition, toUnixTimestamp(toStartOfMinute(timestamp)) AS start
     FROM logs WHERE ${storedSince(starts)} ORDER BY start, source, partition`,
  );
}

function toHours(minutes: readonly Bucket[]): Bucket[] {
  const hours = new Map<string, Bucket>();
  for (const minute of minutes) {
    const start = minute.start - (minute.start % HOUR_SECONDS);
    hours.set(`${laneCode(minute)} ${start}`, { ...minute, start });
  }
  return [...hours.values()];
}

/** Condition for a slice of buckets. Integers only: nothing to escape. */
function bucketsCondition(buckets: readonly Bucket[]): string {
  const starts = buckets.map(({ start }) => start);
  const list = buckets.map(({ source, partition, start }) => `(${source}, ${partition}, ${start})`);
  // The range prunes, the list decides.
  return `bucket >= toDateTime(${Math.min(...starts)}) AND bucket <= toDateTime(${Math.max(...starts)})
    AND (source, partition, toUnixTimestamp(bucket)) IN (${list.join(', ')})`;
}

/** Those of the buckets that are stored otherwise than they would be computed now. */
async function findDiffering(store: Store, rollup: Rollup, buckets: readonly Bucket[]): Promise<Bucket[]> {
  const { table, select, comparable: values } = rollup;
  const sum = (from: string): string =>
    `SELECT source, partition, bucket, sum(cityHash64(toString((${values.join(', ')})))) AS content
     FROM ${from} WHERE ${bucketsCondition(buckets)} GROUP BY source, partition, bucket`;
  return await store.query<Bucket>(
    `SELECT source, partition, toUnixTimestamp(bucket) AS start
     FROM (${sum(`(${select})`)} UNION ALL ${sum(`${table} FINAL`)})
     GROUP BY source, partition, bucket HAVING count() != 2 OR min(content) != max(content)
     ORDER BY start, source, partition`,
  );
}

async function recompute(
  store: Store,
  rollup: Rollup,
  work: { readonly request: RepairOwner; readonly buckets: readonly Bucket[] },
): Promise<void> {
  const { request, buckets } = work;
  const { table, select, columns } = rollup;
  const where = bucketsCondition(buckets);
  const isRevoked = revokedCondition(store, epochLiteral(request.tokens));
  await store.command(
    `ALTER TABLE ${table} DELETE WHERE ${where} AND ${isRevoked} = 0`,
    {},
    {
      settings: { mutations_sync: 1 },
      queryId: nextWriteId(request.owner),
    },
  );
  await failpoint('recompute');
  const names = columns.join(', ');
  await store.command(
    `INSERT INTO ${table} (${names}) SELECT ${names} FROM (${select}) WHERE ${where} AND throwIf(${isRevoked}) = 0`,
    {},
    {
      // Unlike a question, it could not be asked again without an index that turns out to be unreadable half way.
      settings: { max_partitions_per_insert_block: 0, use_skip_indexes: 0 },
      queryId: nextWriteId(request.owner),
    },
  );
}

interface RepairScope {
  readonly tables: readonly string[];
  readonly buckets: readonly Bucket[];
  readonly isSafe: (bucket: Bucket) => boolean;
}

/** How many buckets differ and were left, counted once per table. */
async function repairTables(store: Store, request: RepairOwner, scope: RepairScope): Promise<number> {
  let leftCount = 0;
  for (const rollup of await describeRollups(store, scope.tables)) {
    for (let i = 0; i < scope.buckets.length; i += BUCKETS_PER_STATEMENT) {
      const slice = scope.buckets.slice(i, i + BUCKETS_PER_STATEMENT);
      // A test that wants to fail in the middle must get there, whether anything differs or not.
      const isForced = isFailpointArmed('recompute');
      const differing = isForced ? slice : await findDiffering(store, rollup, slice);
      const buckets = differing.filter(scope.isSafe);
      leftCount += differing.length - buckets.length;
      if (buckets.length > 0) await recompute(store, rollup, { request, buckets });
    }
  }
  return leftCount;
}

/**
 * Brings the rollups of the lanes in the minutes and hours touched since the starts to what the rows give. Nothing else
 * may write these lanes meanwhile. Rejects with `lane_closed` when one of them was lost.
 */
export async function repairRollups(store: Store, request: RepairRequest): Promise<void> {
  if (request.starts.length === 0 || isSabotaged('skip_recomputation')) return;
  await repairMinutes(store, request, await readTouchedMinutes(store, request.starts));
}

/** The same for given minutes of the lanes of the tokens. */
export async function repairMinutes(
  store: Store,
  request: RepairOwner,
  minutes: readonly Bucket[],
): Promise<void> {
  if (minutes.length === 0) return;
  const { isMinuteSafe, isHourSafe } = await readRollupHorizon(store, request.tokens);
  const ofMinutes = { tables: MINUTE_TABLES, buckets: minutes, isSafe: isMinuteSafe };
  const leftMinutes = await repairTables(store, request, ofMinutes);
  const ofHours = { tables: HOUR_TABLES, buckets: toHours(minutes), isSafe: isHourSafe };
  const leftHours = await repairTables(store, request, ofHours);
  if (leftMinutes + leftHours === 0) return;
  request.telemetry?.emit(
    'rollups_left',
    { minutes: leftMinutes, hours: leftHours },
    leftMinutes + leftHours,
  );
}
