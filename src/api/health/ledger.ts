/**
 * `GET /pipeline/ledger`: law 1 per source and partition, from all that table `ledger` holds, with what the running
 * program has in flight beyond it.
 */
import type { QueryPort } from '../../pipeline/query-port.ts';
import type { LaneProgress } from '../../pipeline/status-port.ts';
import { SourceNames } from '../logs/sources.ts';
import { selectLimited } from '../query-limits.ts';

/** Counts are records, bounds are offsets (`to_offset` exclusive). */
export interface LedgerLine {
  readonly source: string;
  readonly partition: number;
  readonly from_offset: number;
  readonly to_offset: number;
  /** `received = stored + already_present + filtered + dead_lettered` in every row of the table. */
  readonly balanced: boolean;
  readonly received: number;
  readonly stored: number;
  readonly already_present: number;
  readonly filtered: Readonly<Record<string, number>>;
  readonly dead_lettered: Readonly<Record<string, number>>;
  /** Offsets that Kafka had deleted before they were read; they are none of the received records. */
  readonly lost_upstream: number;
  /** Offsets between the bounds of which the table says nothing: how many stretches, and the first 100. */
  readonly hole_count: number;
  readonly holes: readonly { readonly from_offset: number; readonly to_offset: number }[];
  /** Offsets taken from the source that have no row yet: being parsed, written, or about to be committed. */
  readonly in_flight_offsets: number;
}

interface LedgerRow {
  readonly source: number;
  readonly partition: number;
  readonly first_offset: number;
  readonly end_offset: number;
  readonly unbalanced_count: number;
  readonly received_count: number;
  readonly stored_count: number;
  readonly present_count: number;
  readonly filtered_counts: Readonly<Record<string, number>>;
  readonly dead_counts: Readonly<Record<string, number>>;
  readonly lost_count: number;
  readonly hole_count: number;
  readonly holes: readonly (readonly [number, number])[];
}

const MAX_LISTED_HOLES = 100;

const SELECT_LEDGER = `
SELECT source, partition,
    min(from_offset) AS first_offset, max(to_offset) AS end_offset,
    countIf(received != stored + already_present + arraySum(mapValues(filtered)) + arraySum(mapValues(dead_lettered)))
        AS unbalanced_count,
    sum(received) AS received_count, sum(stored) AS stored_count, sum(already_present) AS present_count,
    sumMap(filtered) AS filtered_counts, sumMap(dead_lettered) AS dead_counts, sum(lost_upstream) AS lost_count,
    countIf(is_later AND from_offset > reached_offset) AS hole_count,
    groupArrayIf(${MAX_LISTED_HOLES})((reached_offset, from_offset), is_later AND from_offset > reached_offset) AS holes
FROM
(
    SELECT *, count() OVER earlier > 0 AS is_later, max(to_offset) OVER earlier AS reached_offset
    FROM ledger FINAL
    WINDOW earlier AS
        (PARTITION BY source, partition ORDER BY from_offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
GROUP BY source, partition
ORDER BY source, partition`;

export class Ledger {
  readonly #store: QueryPort;
  readonly #sources: SourceNames;

  constructor(store: QueryPort, now: () => number) {
    this.#store = store;
    this.#sources = new SourceNames(store, now);
  }

  /** Every source and partition that has a row or is being read now, in the order of their numbers. */
  async read(lanes: readonly LaneProgress[], signal: AbortSignal): Promise<LedgerLine[]> {
    const statement = { sql: SELECT_LEDGER, params: {} };
    const { rows } = await selectLimited<LedgerRow>(this.#store, statement, signal);
    const names = await this.#sources.resolve(rows.map(({ source }) => source));
    const byKey = new Map(lanes.map((lane) => [keyOf(lane), lane]));
    const lines = rows.map((row) => {
      const lane = byKey.get(keyOf(row));
      byKey.delete(keyOf(row));
      const { kind = '', topic = '' } = names.get(row.source) ?? {};
      return toLine(row, topic === '' ? kind : topic, lane);
    });
    return [...lines, ...[...byKey.values()].map(newLine)];
  }
}

function keyOf({ source, partition }: { readonly source: number; readonly partition: number }): string {
  return `${source}/${partition}`;
}

function toLine(row: LedgerRow, source: string, lane: LaneProgress | undefined): LedgerLine {
  return {
    source,
    partition: row.partition,
    from_offset: row.first_offset,
    to_offset: row.end_offset,
    balanced: row.unbalanced_count === 0,
    received: row.received_count,
    stored: row.stored_count,
    already_present: row.present_count,
    filtered: row.filtered_counts,
    dead_lettered: row.dead_counts,
    lost_upstream: row.lost_count,
    hole_count: row.hole_count,
    holes: row.holes.map(([from, to]) => ({ from_offset: from, to_offset: to })),
    // The row may be newer than what the program said.
    in_flight_offsets: Math.max(
      0,
      (lane?.takenOffset ?? 0) - Math.max(lane?.committedOffset ?? 0, row.end_offset),
    ),
  };
}

/** A lane of which nothing was committed yet. */
function newLine({ name, partition, committedOffset, takenOffset }: LaneProgress): LedgerLine {
  return {
    source: name,
    partition,
    from_offset: committedOffset,
    to_offset: committedOffset,
    balanced: true,
    received: 0,
    stored: 0,
    already_present: 0,
    filtered: {},
    dead_lettered: {},
    lost_upstream: 0,
    hole_count: 0,
    holes: [],
    in_flight_offsets: takenOffset - committedOffset,
  };
}
