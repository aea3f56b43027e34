/**
 * The part of the events that somebody may see or post: by service, host and environment as they are stored.
 */

/** An absent list means all. Values are equal to the stored ones, byte for byte. */
export interface Scope {
  readonly services?: readonly string[];
  readonly hosts?: readonly string[];
  readonly environments?: readonly string[];
}

/** Where an event belongs, as stored. */
export interface ScopedRow {
  readonly service: string;
  readonly host: string;
  readonly environment: string;
}

export const SCOPE_COLUMNS = [
  ['services', 'service'],
  ['hosts', 'host'],
  ['environments', 'environment'],
] as const satisfies readonly (readonly [keyof Scope, keyof ScopedRow])[];

export function isInScope(scope: Scope, row: ScopedRow): boolean {
  return SCOPE_COLUMNS.every(([list, column]) => scope[list]?.includes(row[column]) ?? true);
}

export function isScoped(scope: Scope): boolean {
  return SCOPE_COLUMNS.some(([list]) => scope[list] !== undefined);
}
