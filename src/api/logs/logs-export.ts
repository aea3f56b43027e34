/**
 * `GET /logs` as a stream of lines without a cap. One statement reads everything, so that it is one state of the
 * table; it reads on when the client does. A body that is cut off has no last line, and no end of its encoding.
 */
import { MillraceError } from '../../errors.ts';
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
import { type LogRow, toLog } from './log-shape.ts';
import { LogsQuery } from './logs-operations.ts';
import { readSelection } from './logs-query.ts';
import { densestStatement, exportStatement, type LogsSelection } from './logs-sql.ts';
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
/** Seconds for the count before the rows; these have no limit of time. */
const COUNT_LIMIT = { max_execution_time: 60, timeout_overflow_mode: 'throw' };
/** With more rows than this in one bucket of five minutes they are sorted on disk, and the first comes last. */
const MAX_SORTED_IN_MEMORY = 100_000;
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

  async *#rows({ selection, order, limit, signal }: Export): AsyncGenerator<readonly LogRow[]> {
    const { store } = this.#ports;
    const count = { ...densestStatement(selection), settings: COUNT_LIMIT };
    const counts = streamUncapped<{ densest: number }>(store, count, signal);
    let densest = 0;
    for await (const [row] of counts) densest = row?.densest ?? 0;
    const settings = densest > MAX_SORTED_IN_MEMORY ? DISK_SORT : {};
    const statement = { ...exportStatement(selection, order, limit), settings };
    yield* streamUncapped<LogRow>(store, statement, signal);
  }
}
