/**
 * The names under which JSON events carry what the columns hold, by dotted path: `http.method` stands for the
 * member of that name and for `{"http":{"method":…}}` alike. Both parsers work from this one table.
 * Where an event has several names of one field, the one listed first wins. See docs/decisions/001-event-shape.md.
 */
import { IpField, TextField, UintField } from '../../encode/event-row.ts';
import { CountField, FloatField } from '../../encode/metric-field.ts';

/** What kind of setter takes the value of a field. */
export const FieldKind = {
  text: 0,
  ip: 1,
  uint: 2,
  float: 3,
  count: 4,
  time: 5,
  level: 6,
  severityNumber: 7,
  threats: 8,
  metadata: 9,
} as const;
export type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

export interface Field {
  /** Its place in FIELDS. */
  readonly id: number;
  readonly kind: FieldKind;
  /** Which of its kind: a TextField, IpField, UintField, FloatField or CountField. */
  readonly index: number;
  /** Whether its column is of low cardinality. */
  readonly isLabel: boolean;
  /** Whether a member of `metadata` with this name is moved to the column when the top level has none. */
  readonly isPromoted: boolean;
  /** Dotted paths, best first. */
  readonly names: readonly string[];
  /** Largest value of an unsigned integer. */
  readonly max: number;
}

type Unnumbered = Omit<Field, 'id' | 'isLabel'>;

function text(index: TextField, ...names: string[]): Unnumbered {
  return { kind: FieldKind.text, index, isPromoted: true, names, max: 0 };
}

function uint(index: UintField, max: number, ...names: string[]): Unnumbered {
  return { kind: FieldKind.uint, index, isPromoted: true, names, max };
}

function unpromoted(kind: FieldKind, index: number, ...names: string[]): Unnumbered {
  return { kind, index, isPromoted: false, names, max: 0 };
}

const UNNUMBERED: readonly Unnumbered[] = [
  unpromoted(
    FieldKind.time,
    0,
    'timestamp',
    '@timestamp',
    'time',
    'ts',
    'datetime',
    'event_time',
    'date',
    '_time',
    '@t',
    'time_unix_nano',
  ),
  unpromoted(
    FieldKind.level,
    0,
    'level',
    'severity',
    'severity_text',
    'log_level',
    'loglevel',
    'log.level',
    'lvl',
    'levelname',
    '@l',
  ),
  unpromoted(FieldKind.severityNumber, 0, 'severity_number'),
  { ...text(TextField.message, 'message', 'msg', 'body', 'log', 'short_message', '@m'), isPromoted: false },
  text(
    TextField.host,
    'host',
    'hostname',
    'host.name',
    'host.hostname',
    'host_name',
    'resource.host.name',
    'resource.attributes.host.name',
  ),
  text(
    TextField.service,
    'service',
    'service.name',
    'service_name',
    'app',
    'application',
    'app_name',
    'appname',
    'resource.service.name',
    'resource.attributes.service.name',
  ),
  text(
    TextField.environment,
    'environment',
    'env',
    'deployment.environment',
    'deployment.environment.name',
    'service.environment',
    'resource.deployment.environment',
    'resource.attributes.deployment.environment',
  ),
  text(TextField.traceId, 'trace_id', 'traceid', 'trace.id'),
  text(TextField.spanId, 'span_id', 'spanid', 'span.id'),
  text(
    TextField.correlationId,
    'correlation_id',
    'correlationid',
    'request_id',
    'requestid',
    'x_request_id',
    'http.request.id',
  ),
  {
    kind: FieldKind.ip,
    index: IpField.source,
    isPromoted: true,
    names: [
      'source_ip',
      'src_ip',
      'source.ip',
      'client_ip',
      'clientip',
      'client.ip',
      'remote_addr',
      'remote_ip',
      'client.address',
      'source.address',
    ],
    max: 0,
  },
  uint(
    UintField.sourcePort,
    65_535,
    'source_port',
    'src_port',
    'source.port',
    'client_port',
    'client.port',
    'remote_port',
  ),
  {
    kind: FieldKind.ip,
    index: IpField.destination,
    isPromoted: true,
    names: ['destination_ip', 'dest_ip', 'dst_ip', 'destination.ip', 'destination.address'],
    max: 0,
  },
  uint(UintField.destinationPort, 65_535, 'destination_port', 'dest_port', 'dst_port', 'destination.port'),
  text(TextField.user, 'user', 'username', 'user.name', 'user_name'),
  text(TextField.process, 'process', 'process.name', 'process_name', 'program', 'program_name'),
  uint(UintField.pid, 4_294_967_295, 'pid', 'process.pid', 'process_id', 'process_pid'),
  text(TextField.outcome, 'outcome', 'event.outcome', 'result'),
  text(TextField.httpMethod, 'http.method', 'http_method', 'http.request.method', 'request_method'),
  text(TextField.httpPath, 'http.path', 'http_path', 'url.path', 'http.target', 'request_path'),
  uint(
    UintField.httpStatus,
    65_535,
    'http.status',
    'http_status',
    'http.status_code',
    'status_code',
    'http.response.status_code',
  ),
  text(
    TextField.geoCountry,
    'geo.country',
    'geo_country',
    'geo.country_code',
    'geo.country_iso_code',
    'geo.country_name',
    'source.geo.country_iso_code',
  ),
  text(TextField.geoCity, 'geo.city', 'geo_city', 'geo.city_name', 'source.geo.city_name'),
  unpromoted(FieldKind.float, FloatField.cpuUsage, 'cpu_usage', 'cpu_percent', 'cpu.usage', 'cpu.percent'),
  unpromoted(
    FieldKind.float,
    FloatField.memoryPercentage,
    'memory_usage.percentage',
    'memory_usage.percent',
    'memory.percentage',
    'memory.percent',
    'memory_percentage',
    'memory_percent',
    'memory_usage',
  ),
  unpromoted(FieldKind.count, CountField.memoryUsed, 'memory_usage.used', 'memory.used', 'memory_used'),
  unpromoted(FieldKind.count, CountField.memoryTotal, 'memory_usage.total', 'memory.total', 'memory_total'),
  unpromoted(FieldKind.count, CountField.networkRxBytes, 'network.rx_bytes', 'network_rx_bytes', 'rx_bytes'),
  unpromoted(FieldKind.count, CountField.networkTxBytes, 'network.tx_bytes', 'network_tx_bytes', 'tx_bytes'),
  unpromoted(FieldKind.threats, 0, 'threats'),
  unpromoted(FieldKind.metadata, 0, 'metadata', 'meta', 'attributes', 'fields', 'extra'),
];

/** Every field. All entries have one shape. */
export const FIELDS: readonly Field[] = UNNUMBERED.map(({ kind, index, isPromoted, names, max }, id) => ({
  id,
  kind,
  index,
  isLabel: kind === FieldKind.text && index < TextField.message,
  isPromoted,
  names,
  max,
}));

export interface KnownName {
  readonly path: string;
  /** Id of the field. */
  readonly field: number;
  /** Place among the names of its field, 0 is best. */
  readonly rank: number;
}

/**
 * Every accepted path with its field: the names above and their camelCase, PascalCase and UPPER_CASE spellings
 * (those of dotless names only), each spelling ranking with the name it comes from.
 */
export const KNOWN_NAMES: readonly KnownName[] = FIELDS.flatMap(({ names }, field) => {
  const seen = new Set<string>();
  return names.flatMap((name, rank) =>
    spellings(name)
      .filter((path) => !seen.has(path) && seen.add(path))
      .map((path) => ({ path, field, rank })),
  );
});

function spellings(name: string): string[] {
  if (name.includes('.')) return [name];
  const camel = name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const pascal = camel.replace(/^@?[a-z]/, (letter) => letter.toUpperCase());
  return [name, camel, pascal, name.toUpperCase()];
}
