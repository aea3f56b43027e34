/**
 * A log as the API shows it, and the columns it is made of. Fields that are absent are left out.
 */
import { encodeEventId } from '../../event/event-id.ts';
import { formatTime } from '../time-input.ts';
import type { LogPosition } from './cursor.ts';

/**
 * Columns under names of their own: an alias that repeats a column's name would stand for it in WHERE. What may
 * pass 2^53 comes as text.
 */
export const LOG_SELECT = `
    toUnixTimestamp64Micro(timestamp) AS timestamp_us,
    toUnixTimestamp64Micro(ingested_at) AS ingested_us,
    source, partition, offset, host, service, environment, level, severity_number, message,
    trace_id, span_id, correlation_id,
    toString(source_ip) AS source_address, source_port,
    toString(destination_ip) AS destination_address, destination_port,
    user, process, pid, outcome, http_method, http_path, http_status, geo_country, geo_city,
    cpu_usage, toString(memory_used) AS memory_used_text, toString(memory_total) AS memory_total_text,
    memory_percentage,
    toString(network_rx_bytes) AS rx_text, toString(network_tx_bytes) AS tx_text,
    threats, toString(template_id) AS template_text, metadata`;

export interface LogRow {
  readonly timestamp_us: number;
  readonly ingested_us: number;
  readonly source: number;
  readonly partition: number;
  readonly offset: number;
  readonly host: string;
  readonly service: string;
  readonly environment: string;
  readonly level: string;
  readonly severity_number: number;
  readonly message: string;
  readonly trace_id: string;
  readonly span_id: string;
  readonly correlation_id: string;
  readonly source_address: string;
  readonly source_port: number;
  readonly destination_address: string;
  readonly destination_port: number;
  readonly user: string;
  readonly process: string;
  readonly pid: number;
  readonly outcome: string;
  readonly http_method: string;
  readonly http_path: string;
  readonly http_status: number;
  readonly geo_country: string;
  readonly geo_city: string;
  readonly cpu_usage: number | null;
  readonly memory_used_text: string | null;
  readonly memory_total_text: string | null;
  readonly memory_percentage: number | null;
  readonly rx_text: string | null;
  readonly tx_text: string | null;
  readonly threats: readonly { readonly name: string; readonly severity: string; readonly tags: string[] }[];
  readonly template_text: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface LogSource {
  readonly kind: string;
  readonly topic: string;
}

export function positionOf(row: LogRow): LogPosition {
  const { timestamp_us: timestampUs, source, partition, offset } = row;
  return { timestampUs, source, partition, offset };
}

/** The log of the contract. `source` is absent when its number is not known any more. */
export function toLog(row: LogRow, source: LogSource | undefined): object {
  return present({
    id: encodeEventId(positionOf(row)),
    timestamp: formatTime(row.timestamp_us),
    ingested_at: formatTime(row.ingested_us),
    host: row.host,
    service: row.service,
    environment: row.environment,
    level: row.level,
    severity_number: positive(row.severity_number),
    message: row.message,
    source: present({
      kind: source?.kind ?? '',
      topic: source?.topic ?? '',
      partition: row.partition,
      offset: row.offset,
    }),
    trace_id: row.trace_id,
    span_id: row.span_id,
    correlation_id: row.correlation_id,
    source_ip: address(row.source_address),
    source_port: positive(row.source_port),
    destination_ip: address(row.destination_address),
    destination_port: positive(row.destination_port),
    user: row.user,
    process: row.process,
    pid: positive(row.pid),
    outcome: row.outcome,
    ...groupsOf(row),
    threats: row.threats,
    template_id: integer(row.template_text === '0' ? null : row.template_text),
    metadata: row.metadata,
  });
}

function groupsOf(row: LogRow): Record<string, unknown> {
  return {
    http: present({ method: row.http_method, path: row.http_path, status: positive(row.http_status) }),
    geo: present({ country: row.geo_country, city: row.geo_city }),
    cpu_usage: row.cpu_usage,
    memory_usage: present({
      used: integer(row.memory_used_text),
      total: integer(row.memory_total_text),
      percentage: row.memory_percentage,
    }),
    network: present({ rx_bytes: integer(row.rx_text), tx_bytes: integer(row.tx_text) }),
  };
}

/** Without the fields that say nothing: null, undefined, empty text, empty lists and objects. */
function present(fields: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (!isEmpty(value)) kept[name] = value;
  }
  return kept;
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** 0 stands for absent in the columns of ports, pids and statuses. */
function positive(value: number): number | undefined {
  return value > 0 ? value : undefined;
}

/** A number where a double holds it exactly, else the digits. */
function integer(text: string | null): number | string | undefined {
  if (text === null) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : text;
}

/** IPv4 out of its mapping; `::` stands for absent. */
function address(text: string): string | undefined {
  if (text === '::') return undefined;
  return text.startsWith('::ffff:') && text.includes('.') ? text.slice('::ffff:'.length) : text;
}
