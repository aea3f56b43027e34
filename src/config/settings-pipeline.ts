/**
 * The settings of what happens to the data: pipeline, collectors, detection.
 */
import { availableParallelism } from 'node:os';
import { choice, file, list, number, port, text } from './setting.ts';

const MIB = 1_048_576;

export const PIPELINE_SETTINGS = [
  text('FAILPOINTS', 'failpoints', {
    group: 'pipeline',
    help: 'for tests only: places where the program fails on purpose (src/failpoints.ts); refused with NODE_ENV=production',
  }),
  number('WORKERS', 'workers', {
    group: 'pipeline',
    default: Math.max(1, availableParallelism() - 1),
    defaultText: 'cores − 1, at least 1',
    min: 1,
    max: 256,
    help: 'threads that parse',
  }),
  number('SHARDS', 'shards', {
    group: 'pipeline',
    default: 1,
    min: 1,
    max: 64,
    isPlanned: true,
    help: 'threads that hold the windows of detection',
  }),
  number('MEMORY_BUDGET_MB', 'memoryBudgetBytes', {
    group: 'pipeline',
    kind: 'mebibytes',
    default: 192 * MIB,
    min: 64 * MIB,
    max: 65_536 * MIB,
    help: 'sum of all buffers; a full one slows its source',
  }),
  number('MAX_RECORD_BYTES', 'maxRecordBytes', {
    group: 'pipeline',
    kind: 'bytes',
    default: MIB,
    min: 1024,
    max: 64 * MIB,
    help: 'a larger record becomes a dead letter',
  }),
  number('MAX_BODY_BYTES', 'maxBodyBytes', {
    group: 'pipeline',
    kind: 'bytes',
    default: 10 * MIB,
    min: 1024,
    max: 256 * MIB,
    help: 'a larger HTTP body is refused with 413',
  }),
  number('FLUSH_ROWS', 'flushRows', {
    group: 'pipeline',
    default: 100_000,
    min: 1,
    max: 10_000_000,
    help: 'rows after which an insert is sent',
  }),
  number('FLUSH_BYTES', 'flushBytes', {
    group: 'pipeline',
    kind: 'bytes',
    default: 32 * MIB,
    min: 4096,
    max: 1024 * MIB,
    help: 'bytes after which an insert is sent',
  }),
  number('FLUSH_INTERVAL_MS', 'flushIntervalMs', {
    group: 'pipeline',
    kind: 'duration',
    default: 250,
    min: 1,
    max: 60_000,
    help: 'age after which an insert is sent',
  }),
] as const;

const PORT_HELP = { group: 'collect', defaultText: 'off', isPlanned: true } as const;

export const COLLECT_SETTINGS = [
  port('SYSLOG_UDP_PORT', 'syslogUdpPort', { ...PORT_HELP, help: 'syslog over UDP' }),
  port('SYSLOG_TCP_PORT', 'syslogTcpPort', { ...PORT_HELP, help: 'syslog over TCP' }),
  port('SYSLOG_TLS_PORT', 'syslogTlsPort', { ...PORT_HELP, help: 'syslog over TLS' }),
  port('FLUENT_PORT', 'fluentPort', { ...PORT_HELP, help: 'Fluent forward protocol' }),
  list('TAIL_PATHS', 'tailPaths', { ...PORT_HELP, help: 'files that are followed; * and ** match' }),
  choice('COLLECT_KEY', 'collectKey', {
    group: 'collect',
    isPlanned: true,
    values: ['host', 'service', 'source_ip', 'user', 'none'],
    default: 'host',
    help: 'field that becomes the Kafka key of what is collected',
  }),
] as const;

const FILE_HELP = { group: 'detect', isPlanned: true } as const;

export const DETECT_SETTINGS = [
  number('ALLOWED_LATENESS_MS', 'allowedLatenessMs', {
    group: 'detect',
    isPlanned: true,
    kind: 'duration',
    default: 5000,
    min: 0,
    max: 86_400_000,
    help: 'how far behind its lane an event may be and still enter windows',
  }),
  number('MAX_SKEW_MS', 'maxSkewMs', {
    group: 'detect',
    isPlanned: true,
    kind: 'duration',
    default: 60_000,
    min: 1000,
    max: 86_400_000,
    help: 'how far one lane may run ahead of the others in event time',
  }),
  list('RULES_DIRS', 'rulesDirs', { ...FILE_HELP, help: 'directories of Sigma rules' }),
  file('ROUTES_FILE', 'routesFile', {
    ...FILE_HELP,
    help: 'where notifications go; or the section `routes`',
  }),
  file('RETENTION_FILE', 'retentionFile', {
    ...FILE_HELP,
    help: 'days kept per service; or the section `retention`',
  }),
  file('FILTERS_FILE', 'filtersFile', {
    ...FILE_HELP,
    help: 'what is not stored; or the section `filters`',
  }),
  file('SERVICES_FILE', 'servicesFile', {
    ...FILE_HELP,
    help: 'facts about services; or the section `services`',
  }),
  file('GEOIP_DB', 'geoipDb', { ...FILE_HELP, help: 'MaxMind database of countries and cities' }),
  list('THREAT_LISTS', 'threatLists', { ...FILE_HELP, help: 'files of known bad addresses and names' }),
] as const;
