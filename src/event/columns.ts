/**
 * The columns of table `logs`, in the order in which blocks carry them.
 * One list for the encoder, the schema test and the queries; the SQL file must agree (a test compares them).
 */

/** ClickHouse type of a column as Native blocks name it. */
export interface Column {
  readonly name: string;
  readonly type: string;
}

const THREAT_TYPE =
  'Array(Tuple(name LowCardinality(String), severity LowCardinality(String), tags Array(LowCardinality(String))))';

export const LOG_COLUMNS = [
  { name: 'timestamp', type: "DateTime64(6, 'UTC')" },
  { name: 'ingested_at', type: "DateTime64(6, 'UTC')" },
  { name: 'source', type: 'UInt8' },
  { name: 'partition', type: 'UInt16' },
  { name: 'offset', type: 'UInt64' },
  { name: 'flags', type: 'UInt8' },
  { name: 'retention_days', type: 'UInt16' },
  { name: 'host', type: 'LowCardinality(String)' },
  { name: 'service', type: 'LowCardinality(String)' },
  { name: 'environment', type: 'LowCardinality(String)' },
  { name: 'level', type: 'LowCardinality(String)' },
  { name: 'severity_number', type: 'UInt8' },
  { name: 'message', type: 'String' },
  { name: 'trace_id', type: 'String' },
  { name: 'span_id', type: 'String' },
  { name: 'correlation_id', type: 'String' },
  { name: 'source_ip', type: 'IPv6' },
  { name: 'source_port', type: 'UInt16' },
  { name: 'destination_ip', type: 'IPv6' },
  { name: 'destination_port', type: 'UInt16' },
  { name: 'user', type: 'LowCardinality(String)' },
  { name: 'process', type: 'LowCardinality(String)' },
  { name: 'pid', type: 'UInt32' },
  { name: 'outcome', type: 'LowCardinality(String)' },
  { name: 'http_method', type: 'LowCardinality(String)' },
  { name: 'http_path', type: 'String' },
  { name: 'http_status', type: 'UInt16' },
  { name: 'geo_country', type: 'LowCardinality(String)' },
  { name: 'geo_city', type: 'LowCardinality(String)' },
  { name: 'cpu_usage', type: 'Nullable(Float64)' },
  { name: 'memory_used', type: 'Nullable(UInt64)' },
  { name: 'memory_total', type: 'Nullable(UInt64)' },
  { name: 'memory_percentage', type: 'Nullable(Float64)' },
  { name: 'network_rx_bytes', type: 'Nullable(UInt64)' },
  { name: 'network_tx_bytes', type: 'Nullable(UInt64)' },
  { name: 'threats', type: THREAT_TYPE },
  { name: 'template_id', type: 'UInt64' },
  { name: 'metadata', type: 'Map(LowCardinality(String), String)' },
] as const satisfies readonly Column[];

/**
 * What the payload of a dead letter is: the value of one record, whole record batches as they came, or the rest of a
 * batch that broke off. A letter that was stored in clear text, before letters were sealed, says nothing.
 */
export const LETTER_CONTENTS = ['record', 'batches', 'records'] as const;
export type LetterContent = (typeof LETTER_CONTENTS)[number];

/** Columns of table `dead_letters`. `payload` holds the bytes, sealed (src/encode/letter-seal.ts). */
export const DEAD_LETTER_COLUMNS = [
  { name: 'source', type: 'UInt8' },
  { name: 'partition', type: 'UInt16' },
  { name: 'offset', type: 'UInt64' },
  { name: 'record_time', type: "DateTime64(6, 'UTC')" },
  { name: 'reason', type: 'LowCardinality(String)' },
  { name: 'detail', type: 'String' },
  { name: 'payload', type: 'String' },
  { name: 'to_offset', type: 'UInt64' },
  { name: 'record_count', type: 'UInt32' },
  { name: 'content', type: 'LowCardinality(String)' },
] as const satisfies readonly Column[];

/** Bits of column `flags`. */
export const EventFlag = {
  /** The event carried no time; the record's time stands in. */
  timeMissing: 1,
  /** The event's time could not be read or lay more than an hour past the record's; the record's stands in. */
  timeReplaced: 2,
  /** Invalid UTF-8 was replaced by U+FFFD. */
  textRepaired: 4,
} as const;
