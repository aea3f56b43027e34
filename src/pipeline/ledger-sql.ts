/**
 * How table `ledger` is added up. Its rows are one per lane and second, for more than a year: so all but the newest are
 * summed up in `ledger_sums` (src/store/ledger-sums.ts), one row per lane, and readers add the rows behind that.
 *
 * The order of a lane's rows is (epoch, from_offset), that in which they were written. All but the last are final: a
 * holder goes on only when a row was acknowledged, and writes the same one again, under the same epoch, until then.
 */
import type { LaneKey } from './ports.ts';
import type { QueryOptions, QueryPort } from './query-port.ts';

/** The last row of a lane that its sums hold. */
interface Mark extends LaneKey {
  readonly epoch: number;
  readonly offset: number;
}

const MAX_LISTED_HOLES = 100;
/** Lanes past this many are read whole: keeps the statement below the limits of its length. */
const MAX_MARKS = 1000;

/**
 * Condition for the rows of `ledger` that the sums do not hold, of all lanes unless some are named. It is there to read
 * less, and lets through what was summed up since. Integers only: nothing to escape.
 */
export async function unsummedCondition(
  store: Pick<QueryPort, 'query'>,
  lanes?: readonly LaneKey[],
  options: QueryOptions = {},
): Promise<string> {
  const where = lanes === undefined ? '1' : laneList(lanes);
  const marks = await store.query<Mark>(
    `SELECT source, partition, epoch, from_offset AS offset FROM ledger_sums FINAL WHERE ${where} LIMIT ${MAX_MARKS}`,
    {},
    options,
  );
  if (marks.length === 0) return where;
  const behind = marks.map(
    ({ source, partition, epoch, offset }) =>
      `source = ${source} AND partition = ${partition} AND (epoch > ${epoch} OR epoch = ${epoch} AND from_offset > ${offset})`,
  );
  return `(${where} AND NOT ${laneList(marks)} OR ${behind.join(' OR ')})`;
}

function laneList(lanes: readonly LaneKey[]): string {
  return `(source, partition) IN (${lanes.map(({ source, partition }) => `(${source}, ${partition})`).join(', ')})`;
}

/**
 * A SELECT of one row per lane with the columns of `ledger_sums`: its sums and the rows behind them. `isFinal`: only
 * rows that cannot be written again, of lanes that have any; `limit`: of so many rows of the ledger at most.
 */
export function sumLedger(
  condition: string,
  { isFinal = false, limit }: { readonly isFinal?: boolean; readonly limit?: number } = {},
): string {
  const cut =
    limit === undefined ? '' : `ORDER BY source, partition, ledger.epoch, ledger.from_offset LIMIT ${limit}`;
  const listed = `groupArrayIf(${MAX_LISTED_HOLES})((reached, begin), is_hole)`;
  return `
SELECT source, partition, toUInt64(max(old_version) + 1) AS version,
    tupleElement(max(place), 1) AS epoch, tupleElement(max(place), 2) AS from_offset, argMax(end, place) AS to_offset,
    min(first) AS first_offset, max(top) AS top_offset,
    sum(row_received) AS received, sum(row_stored) AS stored, sum(row_present) AS already_present,
    sum(row_lost) AS lost_upstream, sumMap(row_filtered) AS filtered, sumMap(row_dead) AS dead_lettered,
    sum(row_unbalanced) AS unbalanced, sum(old_holes) + countIf(is_hole) AS hole_count,
    arraySlice(arrayConcat(arrayFlatten(groupArray(old_listed)), ${listed}), 1, ${MAX_LISTED_HOLES}) AS holes
FROM
(
    SELECT *, begin > reached AS is_hole FROM
    (
        SELECT *, tupleElement(place, 2) AS begin,
            lagInFrame(end, 1, begin) OVER lane AS reached, leadInFrame(1, 1, 0) OVER lane AS has_next
        FROM
        (
            SELECT *, max(old_version) OVER (PARTITION BY source, partition) AS newest,
                maxIf(place, old_version > 0) OVER (PARTITION BY source, partition) AS mark
            FROM
            (
                SELECT source, partition, toUInt64(0) AS old_version, (epoch, from_offset) AS place, to_offset AS end,
                    from_offset AS first, to_offset AS top, received AS row_received, stored AS row_stored,
                    already_present AS row_present, lost_upstream AS row_lost, filtered AS row_filtered,
                    dead_lettered AS row_dead,
                    toUInt64(received != stored + already_present + arraySum(mapValues(filtered))
                        + arraySum(mapValues(dead_lettered))) AS row_unbalanced,
                    toUInt64(0) AS old_holes, CAST([], 'Array(Tuple(UInt64, UInt64))') AS old_listed
                FROM ledger FINAL WHERE ${condition} ${cut}
                UNION ALL
                SELECT source, partition, version, (epoch, from_offset), to_offset, first_offset, top_offset,
                    received, stored, already_present, lost_upstream, filtered, dead_lettered, unbalanced, hole_count, holes
                FROM ledger_sums FINAL
            )
        )
        WHERE newest = 0 OR old_version > 0 OR place > mark
        WINDOW lane AS
            (PARTITION BY source, partition ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    )
    ${isFinal ? 'WHERE has_next = 1' : ''}
)
GROUP BY source, partition
${isFinal ? 'HAVING countIf(old_version = 0) > 0' : ''}
ORDER BY source, partition`;
}
