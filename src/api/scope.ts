/**
 * Scopes of users and keys in queries: they stand in every statement, and nothing outside them may show, not even as
 * a count.
 */
import { SCOPE_COLUMNS, type Scope } from '../event/scope.ts';
import type { SqlConditions } from './sql-conditions.ts';

export { isInScope, isScoped, type Scope } from '../event/scope.ts';

export const UNSCOPED: Scope = {};

/** For a statement on `logs` or on a rollup, whose columns have the same names. */
export function addScope(conditions: SqlConditions, scope: Scope): void {
  for (const [list, column] of SCOPE_COLUMNS) {
    const values = scope[list];
    if (values !== undefined) conditions.add(`${column} IN ?1`, ['Array(String)', values]);
  }
}

/** Equal for equal scopes, whatever the order of their values: what cursors are bound to. */
export function scopeText(scope: Scope): string {
  return JSON.stringify(SCOPE_COLUMNS.map(([list]) => scope[list]?.toSorted() ?? null));
}
