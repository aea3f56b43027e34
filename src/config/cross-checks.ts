/**
 * What settings demand of one another. Each check is one sentence that says what to change.
 */
import { isIP } from 'node:net';
import { quoteValue } from '../errors.ts';
import { readNetwork } from './network.ts';
import type { Config } from './settings.ts';

const DEFAULT_CLICKHOUSE_USER = 'default';

/** Whether only this machine can reach the address. */
export function isLoopbackHost(host: string): boolean {
  if (host === 'localhost' || host === '::1' || host === '[::1]') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

export function findContradictions(config: Config): string[] {
  const problems: string[] = [];
  const check = (isFine: boolean, problem: string): void => {
    if (!isFine) problems.push(problem);
  };
  checkHttp(config, check);
  checkKafka(config, check);
  checkClickhouse(config, check);
  check(
    config.maxRecordBytes <= config.maxBodyBytes,
    'MAX_RECORD_BYTES must not be larger than MAX_BODY_BYTES',
  );
  check(
    config.flushBytes <= config.memoryBudgetBytes / 2,
    'FLUSH_BYTES must not be larger than half of MEMORY_BUDGET_MB',
  );
  check(
    config.maxBodyBytes <= config.memoryBudgetBytes / 2,
    'MAX_BODY_BYTES must not be larger than half of MEMORY_BUDGET_MB',
  );
  return problems;
}

type Check = (isFine: boolean, problem: string) => void;

function checkHttp(config: Config, check: Check): void {
  const hasTls = config.tlsCert !== undefined && config.tlsKey !== undefined;
  check(
    (config.tlsCert === undefined) === (config.tlsKey === undefined),
    'TLS_CERT and TLS_KEY need each other',
  );
  check(
    isLoopbackHost(config.httpHost) || hasTls || config.httpAllowPlaintext,
    `HTTP_HOST ${config.httpHost} can be reached from other machines: set TLS_CERT and TLS_KEY, ` +
      'or HTTP_ALLOW_PLAINTEXT=1 where a proxy has TLS',
  );
  for (const text of config.trustedProxies) {
    check(
      readNetwork(text) !== undefined,
      `TRUSTED_PROXIES: ${quoteValue(text)} is neither an address nor a network such as 10.0.0.0/8`,
    );
  }
  for (const origin of config.corsOrigins) {
    check(URL.canParse(origin), `CORS_ORIGINS: ${quoteValue(origin)} is not an origin`);
  }
  check(
    config.httpPort === 0 || config.httpPort !== config.adminPort,
    `HTTP_PORT and ADMIN_PORT must differ, both are ${config.httpPort}`,
  );
}

function checkKafka(config: Config, check: Check): void {
  const hasUser = config.kafkaSaslUsername !== undefined;
  const hasPassword = config.kafkaSaslPassword !== undefined;
  check(
    config.kafkaSaslMechanism === undefined || (hasUser && hasPassword),
    'KAFKA_SASL_MECHANISM needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD',
  );
  check(
    config.kafkaSaslMechanism !== undefined || (!hasUser && !hasPassword),
    'KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD need KAFKA_SASL_MECHANISM',
  );
  check(
    (config.kafkaSslCert === undefined) === (config.kafkaSslKey === undefined),
    'KAFKA_SSL_CERT and KAFKA_SSL_KEY need each other',
  );
  check(
    config.kafkaSsl || (config.kafkaSslCa === undefined && config.kafkaSslCert === undefined),
    'KAFKA_SSL_CA and KAFKA_SSL_CERT need KAFKA_SSL=1',
  );
  check(config.kafkaTopics.length > 0, 'KAFKA_TOPICS must name at least one topic');
}

function checkClickhouse(config: Config, check: Check): void {
  if (config.clickhouseUrl !== undefined) return;
  const why = 'needs CLICKHOUSE_URL: the embedded ClickHouse has no users and no cluster';
  check(config.clickhouseUser === DEFAULT_CLICKHOUSE_USER, `CLICKHOUSE_USER ${why}`);
  check(config.clickhousePassword === undefined, `CLICKHOUSE_PASSWORD ${why}`);
  check(config.clickhouseCluster === undefined, `CLICKHOUSE_CLUSTER ${why}`);
}
