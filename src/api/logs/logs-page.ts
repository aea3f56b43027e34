/**
 * `GET /logs` as pages of JSON. A page is found by the position of its neighbour in the total order (timestamp,
 * source, partition, offset), so that walking gives every row that was there at the first page exactly once,
 * whatever arrives meanwhile; newer rows may appear where they belong.
 */
import type { QueryPort } from '../../pipeline/query-port.ts';
import type { HttpResponse } from '../http/port.ts';
import { jsonResponse } from '../problem.ts';
import { readQuery } from '../read-query.ts';
import type { RequestContext } from '../route.ts';
import { decodeCursor, encodeCursor, type LogCursor } from './cursor.ts';
import { countLogs } from './log-count.ts';
import { type LogRow, positionOf, toLog } from './log-shape.ts';
import { LogsQuery as ListQuery } from './logs-operations.ts';
import { bindingOf, readSelection } from './logs-query.ts';
import type { LogsQuery } from './logs-sql.ts';
import { selectPage } from './page-windows.ts';
import type { SourceNames } from './sources.ts';

export interface LogsPorts {
  readonly store: QueryPort;
  readonly cursorSecret: Buffer;
  readonly sources: SourceNames;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export async function logsPage(context: RequestContext, ports: LogsPorts): Promise<HttpResponse> {
  const { request, query, principal } = context;
  const { store, cursorSecret, sources } = ports;
  const binding = bindingOf(query, principal.scope);
  const { count: counting, cursor, limit, order } = readQuery(query, ListQuery);
  const logsQuery: LogsQuery = { ...place(context, { binding, cursor }, ports), limit, order };
  const counted =
    counting === undefined ? undefined : countLogs(logsQuery, counting, { ...ports, signal: request.signal });
  const [selection, count] = await Promise.all([
    selectPage(logsQuery, { store, signal: request.signal, nowMs: ports.now() }),
    counted,
  ]);
  const { rows, next, prev } = toPage(selection.rows, logsQuery);
  const names = await sources.resolve(new Set(rows.map((row) => row.source)));
  const encode = (cursor: LogCursor | undefined): string | null =>
    cursor === undefined ? null : encodeCursor(cursor, binding, cursorSecret);
  const cursors = { next: encode(next), prev: encode(prev) };
  const response = jsonResponse({
    data: rows.map((row) => toLog(row, names.get(row.source))),
    page: { ...cursors, limit: logsQuery.limit, total: count?.total ?? null },
    meta: {
      rows_read: selection.rowsRead + (count?.rowsRead ?? 0),
      elapsed_ms: selection.elapsedMs + (count?.elapsedMs ?? 0),
    },
  });
  return { ...response, headers: { ...response.headers, ...linksTo(cursors, context) } };
}

interface Binding {
  readonly binding: string;
  readonly cursor: string | undefined;
}

/** The selection as it was at the first page, and the place to go on from. */
function place(context: RequestContext, { binding, cursor: text }: Binding, ports: LogsPorts) {
  const cursor = text === undefined ? undefined : decodeCursor(text, binding, ports.cursorSecret);
  const selection = readSelection(context, ports.now());
  return {
    ...selection,
    ...(cursor !== undefined && { fromUs: cursor.fromUs, toUs: cursor.toUs }),
    cursor,
  };
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

/** The neighbours as links (RFC 8288), relative to the server. */
function linksTo(
  cursors: { readonly next: string | null; readonly prev: string | null },
  { request, query }: RequestContext,
): Readonly<Record<string, string>> {
  const links = (['next', 'prev'] as const).flatMap((relation) => {
    const cursor = cursors[relation];
    if (cursor === null) return [];
    const target = new URLSearchParams(query);
    target.set('cursor', cursor);
    return [`<${request.path}?${target.toString()}>; rel="${relation}"`];
  });
  return links.length === 0 ? {} : { Link: links.join(', ') };
}
