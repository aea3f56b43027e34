/**
 * Which logs a request is about, read from its query string.
 */
import { badRequest } from '../problem.ts';
import { single } from '../query-params.ts';
import type { RequestContext } from '../route.ts';
import { type Scope, scopeText } from '../scope.ts';
import { parseTime } from '../time-input.ts';
import { isFilterName } from './log-filter.ts';
import type { LogsSelection } from './logs-sql.ts';

/** Parameters that may change from page to page; all others are bound into the cursor. */
const FREE_PARAMS: ReadonlySet<string> = new Set(['limit', 'cursor', 'count']);

/** Scope, range and filter of a request. */
export function readSelection({ query, principal }: RequestContext, nowMs: number): LogsSelection {
  return { scope: principal.scope, filter: filterOf(query), ...readRange(query, nowMs) };
}

export function filterOf(query: URLSearchParams): URLSearchParams {
  return new URLSearchParams([...query].filter(([name]) => isFilterName(name)));
}

export function readRange(query: URLSearchParams, nowMs: number) {
  const from = single(query, 'from');
  const to = single(query, 'to');
  const fromUs = from === undefined ? undefined : parseTime('from', from, nowMs);
  const toUs = to === undefined ? undefined : parseTime('to', to, nowMs);
  if (fromUs !== undefined && toUs !== undefined && fromUs > toUs) {
    throw badRequest('from must not be later than to.');
  }
  return { fromUs, toUs };
}

/** What a cursor belongs to: the scope, and the filter, in an order of its own, as the client wrote it. */
export function bindingOf(query: URLSearchParams, scope: Scope): string {
  const bound = [...query].filter(([name]) => !FREE_PARAMS.has(name));
  const filter = JSON.stringify(bound.toSorted((a, b) => compare(a.join('\0'), b.join('\0'))));
  return `${scopeText(scope)} ${filter}`;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
