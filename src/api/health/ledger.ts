/**
 * `GET /pipeline/ledger`: law 1 per source and partition, from all that the ledger ever held, with what the running
 * program has in flight beyond it.
 */
import { sumLedger, unsummedCondition } from '../../pipeline/ledger-sql.ts';
import type { QueryPort } from '../../pipeline/query-port.ts';
import type { LaneProgress } from '../../pipeline/status-port.ts';
import { SourceNames } from '../logs/sources.ts';
import { selectLimited } from '../query-limits.ts';
import type { LedgerLine } from './ledger-schema.ts';

interface LedgerRow {
  readonly source: number;
  readonly partition: number;
  readonly first_offset: number;
  readonly to_offset: number;
  readonly top_offset: number;
  readonly unbalanced: number;
  readonly received: number;
  readonly stored: number;
  readonly already_present: number;
  readonly filtered: Readonly<Record<string, number>>;
  readonly dead_lettered: Readonly<Record<string, number>>;
  readonly lost_upstream: number;
  readonly hole_count: number;
  readonly holes: readonly (readonly [number, number])[];
}

/** Of view `moved_letters`. */
interface MovedRow {
  readonly source: number;
  readonly partition: number;
  readonly moved_reasons: Readonly<Record<string, number>>;
  readonly stored: number;
  readonly filtered: Readonly<Record<string, number>>;
  readonly dead_lettered: Readonly<Record<string, number>>;
}

export class Ledger {
  readonly #store: QueryPort;
  readonly #sources: SourceNames;

  constructor(store: QueryPort, now: () => number) {
    this.#store = store;
    this.#sources = new SourceNames(store, now);
  }

  /** Every source and partition that has a row or is being read now, in the order of their numbers. */
  async read(lanes: readonly LaneProgress[], signal: AbortSignal): Promise<LedgerLine[]> {
    const condition = await unsummedCondition(this.#store, undefined, { signal });
    const statement = { sql: sumLedger(condition), params: {} };
    const { rows } = await selectLimited<LedgerRow>(this.#store, statement, signal);
    const moved = await this.#readMoved(signal);
    const names = await this.#sources.resolve(rows.map(({ source }) => source));
    const byKey = new Map(lanes.map((lane) => [keyOf(lane), lane]));
    const lines = rows.map((row) => {
      const lane = byKey.get(keyOf(row));
      byKey.delete(keyOf(row));
      const { kind = '', topic = '' } = names.get(row.source) ?? {};
      return withMoved(toLine(row, topic === '' ? kind : topic, lane), moved.get(keyOf(row)));
    });
    return [...lines, ...[...byKey.values()].map(newLine)];
  }

  async #readMoved(signal: AbortSignal): Promise<ReadonlyMap<string, MovedRow>> {
    const sql = 'SELECT source, partition, moved_reasons, stored, filtered, dead_lettered FROM moved_letters';
    const { rows } = await selectLimited<MovedRow>(this.#store, { sql, params: {} }, signal);
    return new Map(rows.map((row) => [keyOf(row), row]));
  }
}

/** The rows of the ledger do not change when a letter moves: what it was counted as is taken back here. */
function withMoved(line: LedgerLine, moved: MovedRow | undefined): LedgerLine {
  if (moved === undefined) return line;
  return {
    ...line,
    stored: line.stored + moved.stored,
    filtered: addCounts(line.filtered, moved.filtered, 1),
    dead_lettered: addCounts(addCounts(line.dead_lettered, moved.moved_reasons, -1), moved.dead_lettered, 1),
  };
}

function addCounts(
  counts: Readonly<Record<string, number>>,
  others: Readonly<Record<string, number>>,
  sign: 1 | -1,
): Record<string, number> {
  const sums: Record<string, number> = { ...counts };
  for (const [reason, count] of Object.entries(others)) sums[reason] = (sums[reason] ?? 0) + sign * count;
  return Object.fromEntries(Object.entries(sums).filter(([, count]) => count !== 0));
}

function keyOf({ source, partition }: { readonly source: number; readonly partition: number }): string {
  return `${source}/${partition}`;
}

function toLine(row: LedgerRow, source: string, lane: LaneProgress | undefined): LedgerLine {
  return {
    source,
    partition: row.partition,
    from_offset: row.first_offset,
    to_offset: row.top_offset,
    balanced: row.unbalanced === 0 && row.hole_count === 0,
    received: row.received,
    stored: row.stored,
    already_present: row.already_present,
    filtered: row.filtered,
    dead_lettered: row.dead_lettered,
    lost_upstream: row.lost_upstream,
    hole_count: row.hole_count,
    holes: row.holes.map(([from, to]) => ({ from_offset: from, to_offset: to })),
    // The row may be newer than what the program said. The last row counts: offsets may have gone back before it.
    in_flight: Math.max(0, (lane?.takenOffset ?? 0) - Math.max(lane?.committedOffset ?? 0, row.to_offset)),
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
    in_flight: takenOffset - committedOffset,
  };
}
