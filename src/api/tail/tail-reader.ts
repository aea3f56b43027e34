/**
 * What the live tail reads from ClickHouse.
 */
import { toMillraceError } from '../../errors.ts';
import type { QueryPort, QuerySelection } from '../../pipeline/query-port.ts';
import type { Statement } from '../logs/logs-sql.ts';
import type { SourceNames } from '../logs/sources.ts';
import { isTooSlow, selectLimited } from '../query-limits.ts';
import type { Gap } from './tail-event.ts';
import type { PlacedLog, TailGroup } from './tail-group.ts';
import type { TailMark, TailPosition } from './tail-mark.ts';
import {
  type GapsRow,
  gapsStatement,
  othersStatement,
  READY_SQL,
  rowsStatement,
  type TailRange,
  type TailRow,
  tailPositionOf,
  toGaps,
} from './tail-sql.ts';

export interface TailPage {
  readonly logs: readonly PlacedLog[];
  readonly hasMore: boolean;
}

export interface ReadOptions {
  readonly groups: readonly TailGroup[];
  readonly maxRows: number;
  /** What who was told of the log at the position last has. */
  readonly markOf: (position: TailPosition) => TailMark;
  readonly signal: AbortSignal;
  /** What ClickHouse may take; default as for any query. */
  readonly maxSeconds?: number;
}

interface TailStatement extends Statement {
  readonly settings?: Readonly<Record<string, number>>;
}

/** Large rows: so many times fewer of them at once. */
const FEWER = 10;
const GROUPS_AT_ONCE = 50;

export class TailReader {
  readonly #store: QueryPort;
  readonly sources: SourceNames;

  constructor(store: QueryPort, sources: SourceNames) {
    this.#store = store;
    this.sources = sources;
  }

  /** Logs of any of the groups, in the order of storing; of a lane in that of its offsets. */
  async read(range: TailRange, options: ReadOptions): Promise<TailPage> {
    try {
      return await this.#readPage(range, options);
    } catch (error) {
      const maxRows = Math.floor(options.maxRows / FEWER);
      const isLarge = toMillraceError(error).code === 'query_too_costly' && !isTooSlow(error);
      if (!isLarge || maxRows === 0) throw error;
      return await this.read(range, { ...options, maxRows });
    }
  }

  async #readPage(range: TailRange, options: ReadOptions): Promise<TailPage> {
    const { groups, maxRows, markOf, signal, maxSeconds } = options;
    const statement = {
      ...rowsStatement(range, groups, maxRows),
      ...(maxSeconds !== undefined && { settings: { max_execution_time: maxSeconds } }),
    };
    const selected = await this.#select<TailRow>(statement, signal);
    const rows = selected.rows.slice(0, maxRows);
    const names = await this.sources.resolve(new Set(rows.map((row) => row.source)));
    const logs = rows.map((row) => {
      const position = tailPositionOf(row);
      return { row, source: names.get(row.source), position, mark: markOf(position) };
    });
    return { logs, hasMore: selected.rows.length > maxRows };
  }

  /** For each group what it has in the range. */
  async count(
    range: TailRange,
    groups: readonly TailGroup[],
    signal: AbortSignal,
  ): Promise<readonly (Gap | undefined)[]> {
    const gaps: (Gap | undefined)[] = [];
    for (let i = 0; i < groups.length; i += GROUPS_AT_ONCE) {
      const some = groups.slice(i, i + GROUPS_AT_ONCE);
      const selected = await this.#select<GapsRow>(gapsStatement(range, some), signal);
      gaps.push(...toGaps(selected.rows[0]));
    }
    return gaps;
  }

  async readySecond(signal: AbortSignal): Promise<number> {
    const { rows } = await this.#select<{ ready_s: number }>({ sql: READY_SQL, params: {} }, signal);
    return rows[0]?.ready_s ?? 0;
  }

  /** Whether lanes besides these had something stored in the last seconds. */
  async areOthers(lanes: readonly number[], seconds: number, signal: AbortSignal): Promise<boolean> {
    const { rows } = await this.#select<{ are_others: number }>(othersStatement(lanes, seconds), signal);
    return rows[0]?.are_others === 1;
  }

  #select<Row>(statement: TailStatement, signal: AbortSignal): Promise<QuerySelection<Row>> {
    return selectLimited<Row>(this.#store, statement, signal);
  }
}
