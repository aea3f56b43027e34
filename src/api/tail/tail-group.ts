/**
 * All tails with the same filter and the same scope: they share one condition, one predicate and the text of events.
 */
import { MillraceError } from '../../errors.ts';
import { isInScope } from '../../event/scope.ts';
import type { Filter } from '../filter/ast.ts';
import { canonicalFilter, filterKey } from '../filter/canonical.ts';
import type { StoredLog } from '../filter/fields.ts';
import { type LogPredicate, toPredicate } from '../filter/filter-predicate.ts';
import { addFilter } from '../filter/filter-sql.ts';
import { filterSteps } from '../filter/filter-steps.ts';
import { TooMuchWork, WorkMeter } from '../filter/work-meter.ts';
import type { KeysetSeal } from '../keyset-cursor.ts';
import { toLog } from '../logs/log-shape.ts';
import { addScope, type Scope, scopeText } from '../scope.ts';
import { SqlConditions } from '../sql-conditions.ts';
import { HeldText } from './queue-budget.ts';
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

/** What the regular expressions of one filter may cost for one log, in steps: about 10 ms. */
const MAX_STEPS_PER_LOG = 100_000;
const TOO_COSTLY =
  'The regular expressions of the filter take too long to follow logs with: choose simpler ones.';

/** What is said to those whose filter costs too much. */
export function tooCostly(): MillraceError {
  const faults = [{ detail: TOO_COSTLY, parameter: 'filter' }];
  return new MillraceError('query_too_costly', TOO_COSTLY, { faults });
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
  /** Of the expressions of the filter. */
  readonly patternSteps: number;
  readonly #meter = new WorkMeter(MAX_STEPS_PER_LOG);
  readonly #onRefused: (key: string) => void;
  #fits: LogPredicate | undefined;
  #spentSteps = 0;

  constructor(selection: TailSelection, secret: Buffer, onRefused: (key: string) => void = () => undefined) {
    this.key = selectionKey(selection);
    this.#selection = selection;
    this.#seal = { binding: this.key, secret };
    this.#onRefused = onRefused;
    this.patternSteps = filterSteps(selection.filter);
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
    const shared = { position, mark, data, text: new HeldText(logEvent(this.cursor(mark), data)) };
    for (const member of this.members) member.push(shared);
  }

  skip(gap: Gap | undefined, mark: TailMark): void {
    if (gap === undefined) return;
    for (const member of this.members) member.skip(gap, mark);
  }

  /** What logs have cost since the last call, in steps of expressions. */
  readSpentSteps(): number {
    const spentSteps = this.#spentSteps;
    this.#spentSteps = 0;
    return spentSteps;
  }

  /** Ends those who are there, and those who come back for a while. */
  refuse(): void {
    this.#onRefused(this.key);
    for (const member of this.members) member.refuse(tooCostly());
    this.members.clear();
  }

  #takes(log: StoredLog): boolean {
    const { service, host, environment } = log.row;
    if (!isInScope(this.#selection.scope, { service, host, environment })) return false;
    this.#fits ??= toPredicate(canonicalFilter(this.#selection.filter), this.#meter);
    try {
      return this.#fits(log);
    } catch (error) {
      if (!(error instanceof TooMuchWork)) throw error;
      this.refuse();
      return false;
    } finally {
      this.#spentSteps += this.#meter.read();
    }
  }
}
