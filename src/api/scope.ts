/**
 * The part of the logs that a user or key may see or post: by service, host and environment. It stands in every
 * query and before every row that is posted; nothing outside it may show, not even as a count.
 */
import type { SqlConditions } from './sql-conditions.ts';

/** An absent list means all. Values are equal to the stored ones, byte for byte. */
export interface Scope {
  readonly services?: readonly string[];
  readonly hosts?: readonly string[];
  readonly environments?: readonly string[];
}

export const UNSCOPED: Scope = {};

/** Where a log belongs, as stored. */
export interface ScopedRow {
  readonly service: string;
  readonly host: string;
  readonly environment: string;
}

const COLUMNS = [
  ['services', 'service'],
  ['hosts', 'host'],
  ['environments', 'environment'],
] as const satisfies readonly (readonly [keyof Scope, keyof ScopedRow])[];

/** For a statement on `logs` or on a rollup, whose columns have the same names. */
export function addScope(conditions: SqlConditions, scope: Scope): void {
  for (const [list, column] of COLUMNS) {
    const values = scope[list];
    if (values !== undefined) conditions.add(`${column} IN ?1`, ['Array(String)', values]);
  }
}

export function isInScope(scope: Scope, row: ScopedRow): boolean {
  return COLUMNS.every(([list, column]) => scope[list]?.includes(row[column]) ?? true);
}

/** Equal for equal scopes, whatever the order of their values: what cursors are bound to. */
export function scopeText(scope: Scope): string {
  return JSON.stringify(COLUMNS.map(([list]) => scope[list]?.toSorted() ?? null));
}

export function isScoped(scope: Scope): boolean {
  return COLUMNS.some(([list]) => scope[list] !== undefined);
}
