/**
 * `GET /logs` and `GET /logs/:id`.
 */
import { MillraceError } from '../../errors.ts';
import { decodeEventId } from '../../event/event-id.ts';
import type { QueryPort } from '../../pipeline/query-port.ts';
import type { HttpResponse } from '../http/port.ts';
import { badRequest, jsonResponse } from '../problem.ts';
import { selectLimited } from '../query-limits.ts';
import { checkParams, choice, integer, single } from '../query-params.ts';
import type { RequestContext, Route } from '../route.ts';
import { type Scope, scopeText } from '../scope.ts';
import { parseTime } from '../time-input.ts';
import { decodeCursor, encodeCursor, type LogCursor } from './cursor.ts';
import { isFilterName } from './log-filter.ts';
import { type LogRow, positionOf, toLog } from './log-shape.ts';
import { GET_LOG, LIST_LOGS } from './logs-operations.ts';
import { type LogsQuery, logStatement, logsStatement } from './logs-sql.ts';
import { SourceNames } from './sources.ts';

export interface LogsPorts {
  readonly store: QueryPort;
  readonly cursorSecret: Buffer;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const LIMIT = { min: 1, max: 1000, fallback: 100 };
const PAGE_PARAMS: ReadonlySet<string> = new Set(['from', 'to', 'limit', 'cursor', 'order']);
/** Parameters that may change from page to page; all others are bound into the cursor. */
const FREE_PARAMS: ReadonlySet<string> = new Set(['limit', 'cursor']);
/** A stored log never changes; it may only go. */
const IMMUTABLE = 'private, max-age=3600, immutable';

export function logsRoutes(ports: LogsPorts): Route[] {
  const sources = new SourceNames(ports.store, ports.now);
  return [
    {
      method: 'GET',
      path: '/logs',
      access: 'read',
      operation: LIST_LOGS,
      handle: (context) => listLogs(context, ports, sources),
    },
    {
      method: 'GET',
      path: '/logs/:id',
      access: 'read',
      operation: GET_LOG,
      handle: (context) => getLog(context, ports, sources),
    },
  ];
}

async function listLogs(
  { request, query, principal }: RequestContext,
  ports: LogsPorts,
  sources: SourceNames,
): Promise<HttpResponse> {
  checkParams(query, (name) => PAGE_PARAMS.has(name) || isFilterName(name));
  const binding = bindingOf(query, principal.scope);
  const logsQuery = { ...readQuery(query, binding, ports), scope: principal.scope };
  const selection = await selectLimited<LogRow>(ports.store, logsStatement(logsQuery), request.signal);
  const { rows, next, prev } = toPage(selection.rows, logsQuery);
  const names = await sources.resolve(new Set(rows.map((row) => row.source)));
  const encode = (cursor: LogCursor | undefined): string | null =>
    cursor === undefined ? null : encodeCursor(cursor, binding, ports.cursorSecret);
  return jsonResponse({
    data: rows.map((row) => toLog(row, names.get(row.source))),
    page: { next: encode(next), prev: encode(prev), limit: logsQuery.limit, total: null },
    meta: { rows_read: selection.rowsRead, elapsed_ms: selection.elapsedMs },
  });
}

function readQuery(
  query: URLSearchParams,
  binding: string,
  { cursorSecret, now }: LogsPorts,
): Omit<LogsQuery, 'scope'> {
  const text = single(query, 'cursor');
  const cursor = text === undefined ? undefined : decodeCursor(text, binding, cursorSecret);
  const range = cursor ?? readRange(query, now());
  const filter = new URLSearchParams([...query].filter(([name]) => !PAGE_PARAMS.has(name)));
  return {
    filter,
    fromUs: range.fromUs,
    toUs: range.toUs,
    order: choice(query, 'order', ['desc', 'asc']),
    cursor,
    limit: integer(query, 'limit', LIMIT),
  };
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

interface Page {
  readonly rows: readonly LogRow[];
  readonly next: LogCursor | undefined;
  readonly prev: LogCursor | undefined;
}

/** Takes the extra row off, turns a page that was read backwards, and tells where one can go from here. */
function toPage(read: readonly LogRow[], { cursor, limit, fromUs, toUs }: LogsQuery): Page {
  const hasMore = read.length > limit;
  const isBackwards = cursor?.direction === 'prev';
  const kept = read.slice(0, limit);
  const rows = isBackwards ? kept.toReversed() : kept;
  const at = (direction: 'next' | 'prev', row: LogRow | undefined): LogCursor | undefined =>
    row === undefined ? undefined : { direction, position: positionOf(row), fromUs, toUs };
  // Where one came from there is something; in the direction of reading the extra row tells.
  const hasNext = isBackwards || hasMore;
  const hasPrev = isBackwards ? hasMore : cursor !== undefined;
  return {
    rows,
    next: hasNext ? at('next', rows.at(-1)) : undefined,
    prev: hasPrev ? at('prev', rows[0]) : undefined,
  };
}

async function getLog(
  { request, params, query, principal }: RequestContext,
  ports: LogsPorts,
  sources: SourceNames,
): Promise<HttpResponse> {
  checkParams(query, () => false);
  const position = decodeEventId(params['id'] ?? '');
  const rows =
    position === undefined
      ? []
      : (await selectLimited<LogRow>(ports.store, logStatement(position, principal.scope), request.signal))
          .rows;
  const [row] = rows;
  if (row === undefined) throw new MillraceError('not_found', 'There is no log with this id.');
  const names = await sources.resolve([row.source]);
  const response = jsonResponse(toLog(row, names.get(row.source)));
  return { ...response, headers: { ...response.headers, 'Cache-Control': IMMUTABLE } };
}
