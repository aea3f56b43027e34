/**
 * The fields that a filter can name: those of a log as the API shows it, and `attr.<key>` for its metadata.
 * Each says what it is in SQL (constants of the program) and how it is read from a stored row.
 */
import { nearestName } from '../../config/did-you-mean.ts';
import type { LogRow, LogSource } from '../logs/log-shape.ts';

/** A log as it is stored, and what its source number stands for. */
export interface StoredLog {
  readonly row: LogRow;
  readonly source: LogSource | undefined;
}

interface Text {
  readonly type: 'text' | 'level';
  readonly column: string;
  readonly read: (log: StoredLog) => string;
}

/** A log has several of it; a test holds when it holds for one of them. */
interface List {
  readonly type: 'list' | 'threat_severity';
  readonly column: string;
  readonly read: (log: StoredLog) => readonly string[];
}

interface Numeric {
  /** `count`: a whole number from 0; `time`: microseconds since the epoch. */
  readonly type: 'count' | 'float' | 'time';
  readonly column: string;
  /** What the column holds when the log lacks the field. */
  readonly absent: 'zero' | 'null' | 'never';
  /** A number, or the digits of one that may pass 2^53. */
  readonly read: (log: StoredLog) => number | string | null;
}

interface Address {
  readonly type: 'address';
  /** The field stands for any of them. */
  readonly columns: readonly string[];
  /** `::` stands for absent. */
  readonly read: (log: StoredLog) => readonly string[];
}

interface Origin {
  readonly type: 'origin';
  readonly columns: readonly ('kind' | 'topic')[];
}

interface Attribute {
  readonly type: 'attribute';
  readonly key: string;
}

export type Field = Text | List | Numeric | Address | Origin | Attribute;

/** Columns of rows that hold a type. */
type ColumnOf<T> = { [K in keyof LogRow]: LogRow[K] extends T ? K : never }[keyof LogRow];

function text(column: ColumnOf<string>): Text {
  return { type: 'text', column, read: ({ row }) => row[column] };
}

function count(column: ColumnOf<number>, absent: Numeric['absent'] = 'zero'): Numeric {
  return { type: 'count', column, absent, read: ({ row }) => row[column] };
}

function list(member: 'name' | 'severity'): List {
  const read: List['read'] = ({ row }) => row.threats.map((threat) => threat[member]);
  return { type: member === 'severity' ? 'threat_severity' : 'list', column: `threats.${member}`, read };
}

function nullable(
  type: 'count' | 'float',
  column: string,
  read: (row: LogRow) => number | string | null,
): Numeric {
  return { type, column, absent: 'null', read: ({ row }) => read(row) };
}

const FIELDS: ReadonlyMap<string, Field> = new Map<string, Field>([
  ['timestamp', { type: 'time', column: 'timestamp', absent: 'never', read: ({ row }) => row.timestamp_us }],
  [
    'ingested_at',
    { type: 'time', column: 'ingested_at', absent: 'never', read: ({ row }) => row.ingested_us },
  ],
  ['host', text('host')],
  ['service', text('service')],
  ['environment', text('environment')],
  ['level', { ...text('level'), type: 'level' }],
  ['severity_number', count('severity_number')],
  ['message', text('message')],
  ['source', { type: 'origin', columns: ['topic', 'kind'] }],
  ['source.kind', { type: 'origin', columns: ['kind'] }],
  ['source.topic', { type: 'origin', columns: ['topic'] }],
  ['source.partition', count('partition', 'never')],
  ['source.offset', count('offset', 'never')],
  ['trace_id', text('trace_id')],
  ['span_id', text('span_id')],
  ['correlation_id', text('correlation_id')],
  ['source_ip', { type: 'address', columns: ['source_ip'], read: ({ row }) => [row.source_address] }],
  ['source_port', count('source_port')],
  [
    'destination_ip',
    { type: 'address', columns: ['destination_ip'], read: ({ row }) => [row.destination_address] },
  ],
  ['destination_port', count('destination_port')],
  [
    'ip',
    {
      type: 'address',
      columns: ['source_ip', 'destination_ip'],
      read: ({ row }) => [row.source_address, row.destination_address],
    },
  ],
  ['user', text('user')],
  ['process', text('process')],
  ['pid', count('pid')],
  ['outcome', text('outcome')],
  ['http.method', text('http_method')],
  ['http.path', text('http_path')],
  ['http.status', count('http_status')],
  ['geo.country', text('geo_country')],
  ['geo.city', text('geo_city')],
  ['cpu_usage', nullable('float', 'cpu_usage', (row) => row.cpu_usage)],
  ['memory_usage.used', nullable('count', 'memory_used', (row) => row.memory_used_text)],
  ['memory_usage.total', nullable('count', 'memory_total', (row) => row.memory_total_text)],
  ['memory_usage.percentage', nullable('float', 'memory_percentage', (row) => row.memory_percentage)],
  ['network.rx_bytes', nullable('count', 'network_rx_bytes', (row) => row.rx_text)],
  ['network.tx_bytes', nullable('count', 'network_tx_bytes', (row) => row.tx_text)],
  ['threats.name', list('name')],
  ['threats.severity', list('severity')],
  [
    'threats.tags',
    {
      type: 'list',
      column: 'arrayFlatten(threats.tags)',
      read: ({ row }) => row.threats.flatMap(({ tags }) => tags),
    },
  ],
  [
    'template_id',
    { type: 'count', column: 'template_id', absent: 'zero', read: ({ row }) => row.template_text },
  ],
]);

export const FIELD_NAMES: readonly string[] = [...FIELDS.keys()];

/** `metadata.<key>` is how a log shows it, `attr.<key>` how parameters name it: both are the latter in a filter. */
const ATTRIBUTE = /^(?:attr|metadata)\.(.+)$/is;

export function attributeName(key: string): string {
  return `attr.${key}`;
}

/** The name as the AST has it; undefined when there is no such field. */
export function fieldName(word: string): string | undefined {
  const [, key] = ATTRIBUTE.exec(word) ?? [];
  if (key !== undefined) return attributeName(key);
  const name = word.toLowerCase();
  return FIELDS.has(name) ? name : undefined;
}

/** The field of a name that `fieldName` gave. */
export function fieldOf(name: string): Field {
  return FIELDS.get(name) ?? { type: 'attribute', key: name.slice(attributeName('').length) };
}

/** What was probably meant by a name that is none. */
export function suggestField(word: string): string | undefined {
  const name = word.toLowerCase();
  const part = FIELD_NAMES.find((known) => known.endsWith(`.${name}`) || known.startsWith(`${name}.`));
  return part ?? nearestName(name, FIELD_NAMES);
}
