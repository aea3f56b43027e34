/**
 * `GET /logs/:id`: a log, which never changes, or with `context=n` the log among its neighbours.
 */
import { MillraceError } from '../../errors.ts';
import { decodeEventId } from '../../event/event-id.ts';
import { etagOf, isKnown } from '../etag.ts';
import type { HttpResponse } from '../http/port.ts';
import { jsonResponse } from '../problem.ts';
import { selectLimited } from '../query-limits.ts';
import { readQuery } from '../read-query.ts';
import type { RequestContext } from '../route.ts';
import { type LogRow, positionOf, toLog } from './log-shape.ts';
import { LogQuery } from './logs-operations.ts';
import type { LogsPorts } from './logs-page.ts';
import { contextStatement, logStatement } from './logs-sql.ts';

/** A stored log never changes; it may only go. Who signs in as somebody else must not see it out of a cache. */
const IMMUTABLE = {
  'Cache-Control': 'private, max-age=3600, immutable',
  Vary: 'Authorization, X-API-Key',
};

export async function oneLog(context: RequestContext, ports: LogsPorts): Promise<HttpResponse> {
  const { context: limit } = readQuery(context.query, LogQuery);
  const { row, ...cost } = await findLog(context, ports);
  if (limit > 0) return await logInContext(row, { context, ports, limit, cost });
  const names = await ports.sources.resolve([row.source]);
  const response = jsonResponse(toLog(row, names.get(row.source)));
  const etag = etagOf(typeof response.body === 'string' ? response.body : '');
  const headers = { ...IMMUTABLE, ETag: etag };
  if (isKnown(context.request, etag)) return { status: 304, headers };
  return { ...response, headers: { ...response.headers, ...headers } };
}

interface Cost {
  readonly rowsRead: number;
  readonly elapsedMs: number;
}

async function findLog(
  { request, params, principal }: RequestContext,
  { store }: LogsPorts,
): Promise<Cost & { readonly row: LogRow }> {
  const position = decodeEventId(params['id'] ?? '');
  if (position !== undefined) {
    const statement = logStatement(position, principal.scope);
    const { rows, ...cost } = await selectLimited<LogRow>(store, statement, request.signal);
    if (rows[0] !== undefined) return { row: rows[0], ...cost };
  }
  throw new MillraceError('not_found', 'There is no log with this id.');
}

interface ContextTask {
  readonly context: RequestContext;
  readonly ports: LogsPorts;
  readonly limit: number;
  /** Of finding the log itself. */
  readonly cost: Cost;
}

async function logInContext(
  row: LogRow,
  { context, ports, limit, cost }: ContextTask,
): Promise<HttpResponse> {
  const { request, principal } = context;
  const place = { ...positionOf(row), host: row.host, service: row.service };
  const [before, after] = await Promise.all(
    (['DESC', 'ASC'] as const).map((direction) => {
      const statement = contextStatement(place, { scope: principal.scope, direction, limit });
      return selectLimited<LogRow>(ports.store, statement, request.signal);
    }),
  );
  const earlier = before?.rows.toReversed() ?? [];
  const later = after?.rows ?? [];
  const names = await ports.sources.resolve(new Set([row, ...earlier, ...later].map(({ source }) => source)));
  const show = (shown: LogRow): object => toLog(shown, names.get(shown.source));
  return jsonResponse({
    ...show(row),
    context: { before: earlier.map(show), after: later.map(show) },
    meta: {
      rows_read: cost.rowsRead + (before?.rowsRead ?? 0) + (after?.rowsRead ?? 0),
      elapsed_ms: cost.elapsedMs + Math.max(before?.elapsedMs ?? 0, after?.elapsedMs ?? 0),
    },
  });
}
