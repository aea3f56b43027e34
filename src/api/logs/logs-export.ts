/**
 * `GET /logs` as a stream of lines without a cap. It reads on when the client does. What was there when it began comes
 * once; of what is stored meanwhile, a part may. A body that is cut off has no last line, and no end of its encoding.
 */
import { MillraceError, toMillraceError } from '../../errors.ts';
import type { QueryPort } from '../../pipeline/query-port.ts';
import { takesGzip } from '../accept.ts';
import { beginStream } from '../begun-stream.ts';
import { gzipStream } from '../gzip-stream.ts';
import type { HttpResponse } from '../http/port.ts';
import { badRequest } from '../problem.ts';
import { streamUncapped } from '../query-limits.ts';
import { readQuery } from '../read-query.ts';
import type { RequestContext } from '../route.ts';
import { EXPORT_FORMATS, type ExportFormat } from './export-formats.ts';
import { denseUnits, type Stretch, smaller, stretchesOf } from './export-stretches.ts';
import { type LogRow, toLog } from './log-shape.ts';
import { LogsQuery } from './logs-operations.ts';
import { readSelection } from './logs-query.ts';
import { exportStatement, type LogsSelection } from './logs-sql.ts';
import type { SourceNames } from './sources.ts';

export type ExportType = keyof typeof EXPORT_FORMATS;

export interface ExportPorts {
  readonly store: QueryPort;
  readonly sources: SourceNames;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Each holds a connection to ClickHouse and a sort in its memory for as long as its client reads. */
const MAX_EXPORTS = 4;
/** Of one user or key, so that others have some left. */
const MAX_EXPORTS_EACH = 2;
/** Reading in order would hold all rows of a bucket in memory. */
const DISK_SORT = { optimize_read_in_order: 0, max_bytes_before_external_sort: 128 * 1_048_576 };

interface Export {
  readonly selection: LogsSelection;
  readonly order: 'asc' | 'desc';
  readonly limit: number | undefined;
  readonly format: ExportFormat;
  readonly signal: AbortSignal;
  readonly username: string;
}

export class LogsExport {
  readonly #ports: ExportPorts;
  /** Names of those who run them, once for each export. */
  readonly #running: string[] = [];

  constructor(ports: ExportPorts) {
    this.#ports = ports;
  }

  async answer(context: RequestContext, type: ExportType): Promise<HttpResponse> {
    const { request, query, principal } = context;
    context.audit.action = 'logs.export';
    for (const name of ['cursor', 'count']) {
      if (query.has(name)) throw badRequest(`${name} belongs to pages: an export has none.`);
    }
    const format = EXPORT_FORMATS[type];
    const isGzip = takesGzip(request.headers.get('accept-encoding'));
    const { limit, order } = readQuery(query, LogsQuery);
    const task: Export = {
      selection: readSelection(context, this.#ports.now()),
      order,
      limit: query.has('limit') ? limit : undefined,
      format,
      signal: request.signal,
      username: principal.username,
    };
    const headers = {
      'Content-Type': format.contentType,
      'Content-Disposition': `attachment; filename="logs.${format.extension}"`,
      Vary: 'Accept, Accept-Encoding',
      ...(isGzip && { 'Content-Encoding': 'gzip' }),
    };
    if (request.method === 'HEAD') return { status: 200, headers };
    this.#begin(principal.username);
    context.audit.detail = { type, query: query.toString() };
    const lines = this.#lines(task);
    return { status: 200, headers, body: await beginStream(isGzip ? gzipStream(lines) : lines) };
  }

  /** Throws when there are enough already. */
  #begin(username: string): void {
    const own = this.#running.filter((name) => name === username).length;
    if (own >= MAX_EXPORTS_EACH) {
      throw new MillraceError('too_many_requests', `${own} exports of yours are running: try again later.`);
    }
    if (this.#running.length >= MAX_EXPORTS) {
      throw new MillraceError('too_many_requests', `${MAX_EXPORTS} exports are running: try again later.`);
    }
    this.#running.push(username);
  }

  async *#lines(task: Export): AsyncGenerator<string> {
    try {
      const { format } = task;
      let rowCount = 0;
      let head = format.head;
      for await (const rows of this.#rows(task)) {
        const names = await this.#ports.sources.resolve(new Set(rows.map((row) => row.source)));
        rowCount += rows.length;
        yield head + rows.map((row) => format.line(toLog(row, names.get(row.source)))).join('');
        head = '';
      }
      yield head + format.end(rowCount);
    } finally {
      this.#running.splice(this.#running.indexOf(task.username), 1);
    }
  }

  /** A few rows are never too many to sort; else each stretch begins where the one before has ended. */
  async *#rows(task: Export): AsyncGenerator<readonly LogRow[]> {
    const { selection, order, limit, signal } = task;
    const { store, now } = this.#ports;
    const units = limit === undefined ? await denseUnits(selection, { store, signal, now }) : [];
    for (const stretch of stretchesOf(selection, units, order)) yield* this.#stretch(task, stretch);
  }

  /** What is too much to sort as a whole says so before its first row. */
  async *#stretch(task: Export, stretch: Stretch): AsyncGenerator<readonly LogRow[]> {
    const { selection, order, limit, signal } = task;
    const { fromUs, toUs, isDense } = stretch;
    const statement = exportStatement({ ...selection, fromUs, toUs }, order, limit);
    const settings = isDense ? DISK_SORT : {};
    let hasBegun = false;
    let parts: readonly Stretch[] = [];
    try {
      for await (const rows of streamUncapped<LogRow>(
        this.#ports.store,
        { ...statement, settings },
        signal,
      )) {
        hasBegun = true;
        yield rows;
      }
      return;
    } catch (error) {
      const isTooMuch = toMillraceError(error).code === 'query_too_costly';
      parts = hasBegun || !isTooMuch || limit !== undefined ? [] : smaller(stretch, order);
      if (parts.length === 0) throw error;
    }
    for (const part of parts) yield* this.#stretch(task, part);
  }
}
