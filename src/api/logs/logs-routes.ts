/**
 * The routes under `/logs` that read.
 */
import type { QueryPort } from '../../pipeline/query-port.ts';
import { chooseType } from '../accept.ts';
import type { HttpResponse } from '../http/port.ts';
import type { Operation } from '../openapi/operation.ts';
import type { RequestContext, Route } from '../route.ts';
import { LOG_FACETS, LOG_HISTOGRAM } from './aggregate-operations.ts';
import { logFacets } from './log-facets.ts';
import { logHistogram } from './log-histogram.ts';
import { LogsExport } from './logs-export.ts';
import { GET_LOG, LIST_LOGS } from './logs-operations.ts';
import { logsPage } from './logs-page.ts';
import { oneLog } from './one-log.ts';
import { SourceNames } from './sources.ts';

export interface LogsRoutesPorts {
  readonly store: QueryPort;
  readonly cursorSecret: Buffer;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const LIST_TYPES = ['application/json', 'application/x-ndjson', 'text/csv'] as const;

export function logsRoutes(ports: LogsRoutesPorts): Route[] {
  const shared = { ...ports, sources: new SourceNames(ports.store, ports.now) };
  const exports = new LogsExport(shared);
  const list = async (context: RequestContext): Promise<HttpResponse> => {
    const type = chooseType(context.request.headers.get('accept'), LIST_TYPES);
    if (type !== 'application/json') return await exports.answer(context, type);
    const response = await logsPage(context, shared);
    return { ...response, headers: { ...response.headers, Vary: 'Accept' } };
  };
  const route = (path: string, operation: Operation, handle: Handler): Route => ({
    method: 'GET',
    path,
    access: 'read',
    operation,
    isScoped: true,
    handle,
  });
  return [
    route('/logs', LIST_LOGS, list),
    route('/logs/histogram', LOG_HISTOGRAM, (context) => logHistogram(context, shared)),
    route('/logs/facets', LOG_FACETS, (context) => logFacets(context, shared)),
    route('/logs/:id', GET_LOG, (context) => oneLog(context, shared)),
  ];
}

type Handler = (context: RequestContext) => Promise<HttpResponse>;
