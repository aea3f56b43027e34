/**
 * The settings of the service's edges: where data is, HTTP, Kafka and ClickHouse.
 */
import { choice, endpoint, file, flag, list, number, port, secret, secretUrl, text } from './setting.ts';

const MIB = 1_048_576;

export const GENERAL_SETTINGS = [
  text('DATA_DIR', 'dataDir', {
    group: 'general',
    default: './data',
    help: 'directory of everything that is kept: database, keys, run.json',
  }),
  file('KEY_FILE', 'keyFile', {
    group: 'general',
    defaultText: 'keys/dead-letters.key in DATA_DIR, made at first start',
    help: 'key of the dead letters, 64 hexadecimal digits, the same for all members of a group; further lines: older keys, only to read',
  }),
  choice('LOG_LEVEL', 'logLevel', {
    group: 'general',
    values: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
    help: 'least severe level that is logged to standard error',
  }),
  number('DRAIN_TIMEOUT_MS', 'drainTimeoutMs', {
    group: 'general',
    kind: 'duration',
    default: 20_000,
    min: 0,
    max: 3_600_000,
    help: 'time a stop may take to store and commit what is in flight',
  }),
] as const;

const RATE_SETTINGS = [
  number('RATE_REQUESTS', 'rateRequests', {
    group: 'http',
    default: 60_000,
    min: 0,
    max: 1_000_000_000,
    help: 'requests per minute of one user or API key, those that bring logs in apart; beyond it 429. Each process counts this and the limits below for itself; 0 is no limit',
  }),
  number('RATE_ROWS', 'rateRows', {
    group: 'http',
    default: 3_000_000_000,
    min: 0,
    max: 1_000_000_000_000,
    help: 'rows per minute that the queries of one user or API key may read',
  }),
  number('RATE_INGEST_MB', 'rateIngestBytes', {
    group: 'http',
    kind: 'mebibytes',
    default: 12_288 * MIB,
    min: 0,
    max: 1_048_576 * MIB,
    help: 'MiB per minute that one user or API key may post, as sent, and 1 KiB for each request',
  }),
  number('RATE_ANONYMOUS', 'rateAnonymous', {
    group: 'http',
    default: 1200,
    min: 0,
    max: 1_000_000_000,
    help: 'requests per minute of one address without a login, failed logins and bad tokens among them',
  }),
  number('STREAMS_PER_USER', 'streamsPerUser', {
    group: 'http',
    default: 20,
    min: 0,
    max: 100_000,
    help: 'live streams that one user or API key may hold',
  }),
] as const;

export const HTTP_SETTINGS = [
  text('HTTP_HOST', 'httpHost', {
    group: 'http',
    default: '127.0.0.1',
    help: 'address the API listens on; one that is not loopback needs TLS or HTTP_ALLOW_PLAINTEXT=1',
  }),
  port('HTTP_PORT', 'httpPort', {
    group: 'http',
    default: 8080,
    defaultText: '8080, or PORT',
    help: 'port of the API; 0 takes a free one',
  }),
  choice('HTTP_SERVER', 'httpServer', {
    group: 'http',
    values: ['auto', 'uws', 'node'],
    default: 'auto',
    help: 'uws (uWebSockets.js), node (node:http), or auto: uws where it loads, else node',
  }),
  port('ADMIN_PORT', 'adminPort', {
    group: 'http',
    default: 9464,
    help: 'port of probes and metrics of `process`',
  }),
  file('TLS_CERT', 'tlsCert', { group: 'http', help: 'certificate chain of the API, PEM' }),
  file('TLS_KEY', 'tlsKey', { group: 'http', help: 'private key of TLS_CERT, PEM' }),
  flag('HTTP_ALLOW_PLAINTEXT', 'httpAllowPlaintext', {
    group: 'http',
    help: 'serve other machines without TLS, for use behind a proxy that has it',
  }),
  list('TRUSTED_PROXIES', 'trustedProxies', {
    group: 'http',
    defaultText: 'none',
    help: 'addresses or networks (CIDR) of proxies: the client is the right-most address of their X-Forwarded-For that is not one of them',
  }),
  list('CORS_ORIGINS', 'corsOrigins', {
    group: 'http',
    pattern: '^https?://(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?$',
    expected: 'origins such as https://logs.example.com, without a path',
    defaultText: 'none',
    help: 'origins whose pages browsers let call the API',
  }),
  number('HTTP_MAX_CONNECTIONS', 'httpMaxConnections', {
    group: 'http',
    default: 2048,
    min: 1,
    max: 1_000_000,
    help: 'connections of the API at once; further ones are closed',
  }),
  ...RATE_SETTINGS,
  secret('METRICS_TOKEN', 'metricsToken', {
    group: 'http',
    minLength: 16,
    help: 'bearer token that /metrics requires; unset: loopback only',
  }),
  number('TOKEN_KEY_DAYS', 'tokenKeyDays', {
    group: 'http',
    kind: 'integer',
    default: 30,
    min: 1,
    max: 3650,
    help: 'age in days at which the key that signs tokens is replaced; tokens of the old one stay valid',
  }),
  secret('ADMIN_PASSWORD', 'adminPassword', {
    group: 'http',
    minLength: 8,
    defaultText: 'random, printed once at first start',
    help: 'password of the first user, admin',
  }),
] as const;

const TOPIC_PATTERN = '^[A-Za-z0-9._-]{1,249}$';

export const KAFKA_SETTINGS = [
  list('KAFKA_BROKERS', 'kafkaBrokers', {
    group: 'kafka',
    pattern: '^(\\[[0-9A-Fa-f:]+\\]|[^\\s:,/@]+):[0-9]{1,5}$',
    expected: 'host:port',
    defaultText: 'off',
    help: 'brokers to start from, host:port (9092 where no port is given)',
  }),
  list('KAFKA_TOPICS', 'kafkaTopics', {
    group: 'kafka',
    default: ['logs', 'system-metrics', 'threat-logs', 'security-events'],
    pattern: TOPIC_PATTERN,
    expected: 'a topic name of letters, digits, dot, dash and underscore',
    help: 'topics that are read',
  }),
  text('KAFKA_GROUP', 'kafkaGroup', { group: 'kafka', default: 'millrace', help: 'consumer group' }),
  number('KAFKA_SESSION_TIMEOUT_MS', 'kafkaSessionTimeoutMs', {
    group: 'kafka',
    kind: 'duration',
    default: 10_000,
    min: 1000,
    max: 600_000,
    help: 'silence after which the group gives the partitions of a member to the others; a killed program waits as long for its own, unless it starts again on the same host and DATA_DIR',
  }),
  flag('KAFKA_SSL', 'kafkaSsl', { group: 'kafka', help: 'encrypt the connection to the brokers' }),
  file('KAFKA_SSL_CA', 'kafkaSslCa', { group: 'kafka', help: 'certificate authority of the brokers, PEM' }),
  file('KAFKA_SSL_CERT', 'kafkaSslCert', { group: 'kafka', help: 'client certificate, PEM' }),
  file('KAFKA_SSL_KEY', 'kafkaSslKey', { group: 'kafka', help: 'private key of KAFKA_SSL_CERT, PEM' }),
  choice('KAFKA_SASL_MECHANISM', 'kafkaSaslMechanism', {
    group: 'kafka',
    values: ['plain', 'scram-sha-256', 'scram-sha-512'],
    help: 'how to log in at the brokers',
  }),
  text('KAFKA_SASL_USERNAME', 'kafkaSaslUsername', { group: 'kafka', help: 'user at the brokers' }),
  secret('KAFKA_SASL_PASSWORD', 'kafkaSaslPassword', { group: 'kafka', help: 'password at the brokers' }),
] as const;

export const CLICKHOUSE_SETTINGS = [
  endpoint('CLICKHOUSE_URL', 'clickhouseUrl', {
    group: 'clickhouse',
    defaultText: 'embedded',
    help: 'http(s) address of an external ClickHouse; without it an embedded one is started',
  }),
  text('CLICKHOUSE_USER', 'clickhouseUser', {
    group: 'clickhouse',
    default: 'default',
    help: 'user at the external ClickHouse',
  }),
  secret('CLICKHOUSE_PASSWORD', 'clickhousePassword', {
    group: 'clickhouse',
    help: 'password at the external ClickHouse',
  }),
  text('CLICKHOUSE_DATABASE', 'clickhouseDatabase', {
    group: 'clickhouse',
    default: 'millrace',
    pattern: '^[A-Za-z_][A-Za-z0-9_]{0,62}$',
    expected: 'a name of letters, digits and underscore',
    help: 'database that holds the tables; made when it is missing',
  }),
  text('CLICKHOUSE_CLUSTER', 'clickhouseCluster', {
    group: 'clickhouse',
    isPlanned: true,
    help: 'cluster for replicated and distributed tables',
  }),
  flag('CLICKHOUSE_FSYNC', 'clickhouseFsync', {
    group: 'clickhouse',
    help: 'inserts are on disk, not only in the cache of the system, before they are acknowledged',
  }),
  secretUrl('REDIS_URL', 'redisUrl', {
    group: 'clickhouse',
    isPlanned: true,
    help: 'Redis that keeps the snapshots of detection',
  }),
  number('MIN_FREE_DISK_MB', 'minFreeDiskBytes', {
    group: 'clickhouse',
    kind: 'mebibytes',
    default: 2048 * MIB,
    min: 0,
    max: 1_048_576 * MIB,
    help: 'ingestion waits while the disk of ClickHouse has less room than this: with CLICKHOUSE_URL that of its server, else that of DATA_DIR',
  }),
] as const;
