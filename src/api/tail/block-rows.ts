/**
 * Rows of a Native block of table `logs` as queries give them, so that filters and answers cannot tell the two apart.
 * A cell is read when it is asked for: most rows are only looked at by a filter.
 */

import { MillraceError } from '../../errors.ts';
import type { LOG_COLUMNS } from '../../event/columns.ts';
import type { LogRow } from '../logs/log-shape.ts';
import { type Cells, NativeReader, valuesIn } from './native-reader.ts';

type Name = (typeof LOG_COLUMNS)[number]['name'];

interface Reading<T> {
  readonly read: (reader: NativeReader, count: number) => Cells<T>;
  /** Where the block leaves the column out. */
  readonly absent: Cells<T>;
}

function reading<T>(absent: T, read: Reading<T>['read']): Reading<T> {
  return { read, absent: { at: () => absent } };
}

const BYTE = reading(0, (reader, count) => reader.uint(count, 1));
const SHORT = reading(0, (reader, count) => reader.uint(count, 2));
const WORD = reading(0, (reader, count) => reader.uint(count, 4));
const NUMBER = reading(0, (reader, count) => reader.uint64(count));
const TEXT = reading('', (reader, count) => reader.strings(count));
const LABEL = reading('', (reader, count) => reader.lowCardinality(count));
const ADDRESS = reading('::', (reader, count) => reader.ip(count));
const FLOAT = reading<number | null>(null, (reader, count) =>
  reader.nullable(count, () => reader.float(count)),
);
const DIGITS = reading<string | null>(null, (reader, count) =>
  reader.nullable(count, () => reader.digits(count)),
);

const READINGS = {
  timestamp: NUMBER,
  ingested_at: NUMBER,
  source: BYTE,
  partition: SHORT,
  offset: NUMBER,
  flags: BYTE,
  retention_days: SHORT,
  host: LABEL,
  service: LABEL,
  environment: LABEL,
  level: LABEL,
  severity_number: BYTE,
  message: TEXT,
  trace_id: TEXT,
  span_id: TEXT,
  correlation_id: TEXT,
  source_ip: ADDRESS,
  source_port: SHORT,
  destination_ip: ADDRESS,
  destination_port: SHORT,
  user: LABEL,
  process: LABEL,
  pid: WORD,
  outcome: LABEL,
  http_method: LABEL,
  http_path: TEXT,
  http_status: SHORT,
  geo_country: LABEL,
  geo_city: LABEL,
  cpu_usage: FLOAT,
  memory_used: DIGITS,
  memory_total: DIGITS,
  memory_percentage: FLOAT,
  network_rx_bytes: DIGITS,
  network_tx_bytes: DIGITS,
  threats: reading<LogRow['threats']>([], readThreats),
  template_id: reading('0', (reader, count) => reader.digits(count)),
  metadata: reading<LogRow['metadata']>({}, readMetadata),
} satisfies Record<Name, Reading<unknown>>;

type Columns = { readonly [N in Name]: (typeof READINGS)[N] extends Reading<infer T> ? Cells<T> : never };

export function readBlock(block: ArrayBuffer): readonly LogRow[] {
  const reader = new NativeReader(block);
  const columnCount = reader.varint();
  const rowCount = reader.varint();
  const columns: Record<string, Cells<unknown>> = {};
  for (const [name, { absent }] of Object.entries(READINGS)) columns[name] = absent;
  for (let i = 0; i < columnCount; i++) {
    const name = reader.text();
    reader.text();
    columns[name] = readingOf(name).read(reader, rowCount);
  }
  const read = columns as unknown as Columns;
  return Array.from({ length: rowCount }, (_, row) => new BlockRow(read, row) as unknown as LogRow);
}

function readingOf(name: string): Reading<unknown> {
  const known = (READINGS as Record<string, Reading<unknown>>)[name];
  if (known === undefined) throw new MillraceError('internal', `A block has column ${name}.`);
  return known;
}

/** Array(Tuple(name, severity, tags)), as src/encode/columns/threats.ts writes it. */
function readThreats(reader: NativeReader, count: number): Cells<LogRow['threats']> {
  for (let prefix = 0; prefix < 3; prefix++) reader.lowCardinalityPrefix();
  const threats = reader.runs(count);
  const names = reader.lowCardinalityValues(threats.total);
  const severities = reader.lowCardinalityValues(threats.total);
  const tagRuns = reader.runs(threats.total);
  const tags = reader.lowCardinalityValues(tagRuns.total);
  const all: Cells<LogRow['threats'][number]> = {
    at: (i) => ({ name: names.at(i), severity: severities.at(i), tags: valuesIn(tags, tagRuns.at(i)) }),
  };
  return { at: (row) => valuesIn(all, threats.at(row)) };
}

/** Map(LowCardinality(String), String), as src/encode/columns/map.ts writes it. */
function readMetadata(reader: NativeReader, count: number): Cells<LogRow['metadata']> {
  reader.lowCardinalityPrefix();
  const entries = reader.runs(count);
  const keys = reader.lowCardinalityValues(entries.total);
  const values = reader.strings(entries.total);
  const all: Cells<readonly [string, string]> = { at: (i) => [keys.at(i), values.at(i)] };
  return { at: (row) => Object.fromEntries(valuesIn(all, entries.at(row))) };
}

/** The column behind each field of a row. */
const COLUMN_OF = {
  timestamp_us: 'timestamp',
  ingested_us: 'ingested_at',
  source: 'source',
  partition: 'partition',
  offset: 'offset',
  host: 'host',
  service: 'service',
  environment: 'environment',
  level: 'level',
  severity_number: 'severity_number',
  message: 'message',
  trace_id: 'trace_id',
  span_id: 'span_id',
  correlation_id: 'correlation_id',
  source_address: 'source_ip',
  source_port: 'source_port',
  destination_address: 'destination_ip',
  destination_port: 'destination_port',
  user: 'user',
  process: 'process',
  pid: 'pid',
  outcome: 'outcome',
  http_method: 'http_method',
  http_path: 'http_path',
  http_status: 'http_status',
  geo_country: 'geo_country',
  geo_city: 'geo_city',
  cpu_usage: 'cpu_usage',
  memory_used_text: 'memory_used',
  memory_total_text: 'memory_total',
  memory_percentage: 'memory_percentage',
  rx_text: 'network_rx_bytes',
  tx_text: 'network_tx_bytes',
  threats: 'threats',
  template_text: 'template_id',
  metadata: 'metadata',
} satisfies Record<keyof LogRow, Name>;

class BlockRow {
  readonly columns: Columns;
  readonly row: number;

  constructor(columns: Columns, row: number) {
    this.columns = columns;
    this.row = row;
  }
}

for (const [field, column] of Object.entries(COLUMN_OF)) {
  Object.defineProperty(BlockRow.prototype, field, {
    get(this: BlockRow) {
      return this.columns[column].at(this.row);
    },
  });
}
