/**
 * All tails with the same filter and the same scope: they share one condition, one predicate and the text of events.
 */
import { isInScope } from '../../event/scope.ts';
import type { Filter } from '../filter/ast.ts';
import { canonicalFilter, filterKey } from '../filter/canonical.ts';
import type { StoredLog } from '../filter/fields.ts';
import { type LogPredicate, toPredicate } from '../filter/filter-predicate.ts';
import { addFilter } from '../filter/filter-sql.ts';
import type { KeysetSeal } from '../keyset-cursor.ts';
import { toLog } from '../logs/log-shape.ts';
import { addScope, type Scope, scopeText } from '../scope.ts';
import { SqlConditions } from '../sql-conditions.ts';
import { type Gap, logEvent } from './tail-event.ts';
import { encodeMark, type TailMark, type TailPosition } from './tail-mark.ts';
import type { TailMember } from './tail-member.ts';

export interface TailSelection {
  readonly filter: Filter;
  readonly scope: Scope;
}

/** A log as it is shared out. */
export interface PlacedLog extends StoredLog {
  readonly position: TailPosition;
  /** What who was told of this log last has. */
  readonly mark: TailMark;
}

/** Equal for those who see the same. */
export function selectionKey({ filter, scope }: TailSelection): string {
  return `tail ${scopeText(scope)} ${filterKey(filter)}`;
}

export class TailGroup {
  readonly key: string;
  readonly members = new Set<TailMember>();
  readonly #selection: TailSelection;
  readonly #seal: KeysetSeal;
  readonly #fits: LogPredicate;

  constructor(selection: TailSelection, secret: Buffer) {
    this.key = selectionKey(selection);
    this.#selection = selection;
    this.#seal = { binding: this.key, secret };
    this.#fits = toPredicate(canonicalFilter(selection.filter));
  }

  /** The condition that chooses the same rows; `prefix` keeps its parameters apart from those of others. */
  conditions(prefix: string): SqlConditions {
    const conditions = new SqlConditions(prefix);
    addScope(conditions, this.#selection.scope);
    addFilter(conditions, this.#selection.filter);
    return conditions;
  }

  cursor(mark: TailMark): string {
    return encodeMark(mark, this.#seal);
  }

  logText({ row, source, mark }: PlacedLog): string {
    return logEvent(this.cursor(mark), JSON.stringify(toLog(row, source)));
  }

  share(log: PlacedLog): void {
    if (this.members.size === 0 || !this.#takes(log)) return;
    const { row, source, position, mark } = log;
    const data = JSON.stringify(toLog(row, source));
    const shared = { position, mark, data, text: logEvent(this.cursor(mark), data) };
    for (const member of this.members) member.push(shared);
  }

  skip(gap: Gap | undefined, mark: TailMark): void {
    if (gap === undefined) return;
    for (const member of this.members) member.skip(gap, mark);
  }

  #takes(log: StoredLog): boolean {
    const { service, host, environment } = log.row;
    return isInScope(this.#selection.scope, { service, host, environment }) && this.#fits(log);
  }
}
