/**
 * The stretches of time that an export reads one after the other: where few rows fall into a bucket of the table's
 * order one statement sorts bucket by bucket, where many do each stretch is so short that it can be sorted as a whole.
 */
import type { QueryPort } from '../../pipeline/query-port.ts';
import { selectLimited } from '../query-limits.ts';
import {
  type EventRollup,
  ROLLUP_FIELDS,
  resolutionOf,
  rollupConditions,
  rollupFor,
} from './event-rollup.ts';
import type { LogsSelection, Statement } from './logs-sql.ts';

export interface Stretch {
  /** Inclusive; absent: from the first. */
  readonly fromUs: number | undefined;
  /** Exclusive; absent: to the last. */
  readonly toUs: number | undefined;
  /** Sorted as a whole, on disk when it must be; else bucket by bucket. */
  readonly isDense: boolean;
}

/** A stretch with more rows than are sorted in memory. */
export interface DenseUnit {
  readonly fromUs: number;
  readonly toUs: number;
  readonly rowCount: number;
}

interface PlanPorts {
  readonly store: QueryPort;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

interface DenseRow {
  readonly start_s: number;
  readonly row_count: number;
}

type Order = 'asc' | 'desc';

/** With more rows than this in one bucket of five minutes they are not sorted bucket by bucket. */
const MAX_SORTED_IN_MEMORY = 100_000;
/** Rows of some kilobytes fit what a sort may take; where they are larger the stretch is halved. */
const WANTED_ROWS = 500_000;
const BUCKET_S = 300;
/** The rollups are small: they are read whole, however long it takes. */
const PLAN_LIMITS = { max_execution_time: 0, max_rows_to_read: 0, max_threads: 2 };

/** Units that may be dense: filters that the rollups do not have are left out. In the order of time. */
export async function denseUnits(selection: LogsSelection, ports: PlanPorts): Promise<DenseUnit[]> {
  const filter = new URLSearchParams([...selection.filter].filter(([name]) => ROLLUP_FIELDS.has(name)));
  const rollup = rollupFor({ filter, fromUs: selection.fromUs }, ports.now()) ?? 'events_1h';
  const unitS = Math.max(BUCKET_S, resolutionOf(rollup));
  const statement = { ...denseStatement({ ...selection, filter }, rollup, unitS), settings: PLAN_LIMITS };
  const { rows } = await selectLimited<DenseRow>(ports.store, statement, ports.signal);
  return rows.map(({ start_s: startS, row_count: rowCount }) => ({
    fromUs: startS * 1e6,
    toUs: (startS + unitS) * 1e6,
    rowCount,
  }));
}

function denseStatement(selection: LogsSelection, rollup: EventRollup, unitS: number): Statement {
  const conditions = rollupConditions(selection, rollup);
  return {
    sql: `SELECT intDiv(toUnixTimestamp(bucket), ${unitS}) * ${unitS} AS start_s, sum(event_count) AS row_count
FROM ${rollup}
WHERE ${conditions.sql}
  -- Of what has expired the rollups still know.
  AND toYYYYMMDD(bucket) IN (SELECT toUInt32OrZero(substring(partition_id, 1, 8)) FROM system.parts
    WHERE database = currentDatabase() AND table = 'logs' AND active)
GROUP BY start_s
HAVING row_count > ${MAX_SORTED_IN_MEMORY}
ORDER BY start_s`,
    params: conditions.params,
  };
}

/** Stretches that follow one another in the order asked for and together are the range. */
export function* stretchesOf(
  range: Pick<LogsSelection, 'fromUs' | 'toUs'>,
  units: readonly DenseUnit[],
  order: Order,
): Generator<Stretch> {
  const pieces = piecesOf(range, units);
  if (order === 'desc') pieces.reverse();
  for (const piece of pieces) {
    if ('rowCount' in piece) yield* slices(piece, Math.ceil(piece.rowCount / WANTED_ROWS), order);
    else yield { ...piece, isDense: false };
  }
}

/** What to try when a stretch was too much to sort: empty when there is nothing smaller. */
export function smaller({ fromUs, toUs, isDense }: Stretch, order: Order): Stretch[] {
  if (!isDense) return [{ fromUs, toUs, isDense: true }];
  if (fromUs === undefined || toUs === undefined || toUs - fromUs <= 1) return [];
  return [...slices({ fromUs, toUs }, 2, order)];
}

/** The units as far as they are in the range, and what lies between them, in the order of time. */
function piecesOf(
  { fromUs, toUs }: Pick<LogsSelection, 'fromUs' | 'toUs'>,
  units: readonly DenseUnit[],
): (DenseUnit | Pick<LogsSelection, 'fromUs' | 'toUs'>)[] {
  const pieces: (DenseUnit | Pick<LogsSelection, 'fromUs' | 'toUs'>)[] = [];
  let reachedUs = fromUs;
  for (const unit of units) {
    const start = Math.max(unit.fromUs, fromUs ?? -Infinity);
    const end = Math.min(unit.toUs, toUs ?? Infinity);
    if (start >= end) continue;
    if (reachedUs === undefined || reachedUs < start) pieces.push({ fromUs: reachedUs, toUs: start });
    pieces.push({ fromUs: start, toUs: end, rowCount: unit.rowCount });
    reachedUs = end;
  }
  if (toUs === undefined || reachedUs === undefined || reachedUs < toUs) {
    pieces.push({ fromUs: reachedUs, toUs });
  }
  return pieces;
}

function* slices(
  { fromUs, toUs }: Pick<DenseUnit, 'fromUs' | 'toUs'>,
  count: number,
  order: Order,
): Generator<Stretch> {
  const widthUs = Math.max(1, Math.ceil((toUs - fromUs) / count));
  if (order === 'asc') {
    for (let start = fromUs; start < toUs; start += widthUs) {
      yield { fromUs: start, toUs: Math.min(start + widthUs, toUs), isDense: true };
    }
    return;
  }
  for (let end = toUs; end > fromUs; end -= widthUs) {
    yield { fromUs: Math.max(end - widthUs, fromUs), toUs: end, isDense: true };
  }
}
