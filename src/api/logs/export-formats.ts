/**
 * Logs as lines of an export. Both formats end in a line that says so: a file without it was cut off.
 */

export interface ExportFormat {
  readonly contentType: string;
  /** Of the proposed file name. */
  readonly extension: string;
  /** First line, with its end; empty when there is none. */
  readonly head: string;
  line(log: object): string;
  /** Last line, after `rows` logs. */
  end(rows: number): string;
}

/** Columns of the CSV: places in a log. What is no plain value there is written as JSON. */
const COLUMNS: readonly (readonly [name: string, ...rest: string[]])[] = [
  ['id'],
  ['timestamp'],
  ['ingested_at'],
  ['host'],
  ['service'],
  ['environment'],
  ['level'],
  ['severity_number'],
  ['message'],
  ['source', 'kind'],
  ['source', 'topic'],
  ['source', 'partition'],
  ['source', 'offset'],
  ['trace_id'],
  ['span_id'],
  ['correlation_id'],
  ['source_ip'],
  ['source_port'],
  ['destination_ip'],
  ['destination_port'],
  ['user'],
  ['process'],
  ['pid'],
  ['outcome'],
  ['http', 'method'],
  ['http', 'path'],
  ['http', 'status'],
  ['geo', 'country'],
  ['geo', 'city'],
  ['cpu_usage'],
  ['memory_usage', 'used'],
  ['memory_usage', 'total'],
  ['memory_usage', 'percentage'],
  ['network', 'rx_bytes'],
  ['network', 'tx_bytes'],
  ['threats'],
  ['template_id'],
  ['metadata'],
];
/** In place of an id, in the last line. */
const CSV_END = '#end';
/** What a spreadsheet takes for the start of a formula (OWASP, CSV injection), full-width forms included. */
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

const NDJSON: ExportFormat = {
  contentType: 'application/x-ndjson',
  extension: 'ndjson',
  head: '',
  line: (log) => `${JSON.stringify(log)}\n`,
  end: (rows) => `${JSON.stringify({ end: true, rows })}\n`,
};

/** RFC 4180: CRLF, and every text in quotes, so that a semicolon or a line end in it is no border anywhere. */
const CSV: ExportFormat = {
  contentType: 'text/csv; charset=utf-8; header=present',
  extension: 'csv',
  head: `${COLUMNS.map((path) => path.join('.')).join(',')}\r\n`,
  line: (log) => `${COLUMNS.map((path) => cell(valueAt(log, path))).join(',')}\r\n`,
  end: (rows) => `${CSV_END},${rows}${','.repeat(COLUMNS.length - 2)}\r\n`,
};

export const EXPORT_FORMATS = {
  'application/x-ndjson': NDJSON,
  'text/csv': CSV,
} as const satisfies Record<string, ExportFormat>;

function valueAt(log: object, path: readonly string[]): unknown {
  let value: unknown = log;
  for (const name of path) value = (value as Readonly<Record<string, unknown>> | undefined)?.[name];
  return value;
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number') return String(value);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return `"${(FORMULA.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
}
