import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SETTINGS } from '../../src/config/settings.ts';
import { printableConfig, settingsMarkdown } from '../../src/config/show.ts';
import { type Config, loadConfig } from '../../src/config.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-config-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileOf(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function load(env: Record<string, string>, flags: Record<string, unknown> = {}, configFile?: string): Config {
  return loadConfig({ env, flags, ...(configFile === undefined ? {} : { configFile }) }).config;
}

function problemsOf(env: Record<string, string>, flags: Record<string, unknown> = {}): string {
  try {
    load(env, flags);
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

describe('config', () => {
  test('has the documented defaults when nothing is set', () => {
    const config = load({});
    expect(config).toMatchObject({
      dataDir: './data',
      httpHost: '127.0.0.1',
      httpPort: 8080,
      httpServer: 'auto',
      adminPort: 9464,
      kafkaBrokers: [],
      kafkaTopics: ['logs', 'system-metrics', 'threat-logs', 'security-events'],
      kafkaGroup: 'millrace',
      clickhouseUrl: undefined,
      clickhouseDatabase: 'millrace',
      shards: 1,
      memoryBudgetBytes: 192 * 1_048_576,
      maxRecordBytes: 1_048_576,
      maxBodyBytes: 10_485_760,
      minFreeDiskBytes: 2048 * 1_048_576,
      flushRows: 100_000,
      flushBytes: 33_554_432,
      flushIntervalMs: 250,
      allowedLatenessMs: 5000,
      maxSkewMs: 60_000,
      logLevel: 'info',
      drainTimeoutMs: 20_000,
    });
    expect(config.workers).toBeGreaterThanOrEqual(1);
    expect(Object.isFrozen(config)).toBe(true);
  });

  test('every default passes its own schema', () => {
    const env = Object.fromEntries(
      SETTINGS.flatMap((setting) => {
        const value = printableConfig(load({}))[setting.name.toLowerCase()];
        return value === null || Array.isArray(value)
          ? []
          : [[`MILLRACE_${setting.name}`, JSON.stringify(value).replaceAll('"', '')]];
      }),
    );
    expect(load(env)).toEqual(load({}));
  });

  test('flags win over variables, variables over the file', () => {
    const path = fileOf('a.yaml', 'flush_rows: 10\nflush_interval_ms: 10\nkafka:\n  group: from-file\n');
    const config = load(
      { MILLRACE_FLUSH_ROWS: '20', MILLRACE_FLUSH_INTERVAL_MS: '20' },
      { FLUSH_ROWS: '30' },
      path,
    );
    expect(config.flushRows).toBe(30);
    expect(config.flushIntervalMs).toBe(20);
    expect(config.kafkaGroup).toBe('from-file');
  });

  test.each([
    ['MILLRACE_FLUSH_BYTES', '8MiB', 'flushBytes', 8_388_608],
    ['MILLRACE_FLUSH_BYTES', '8 MiB', 'flushBytes', 8_388_608],
    ['MILLRACE_FLUSH_BYTES', '8mb', 'flushBytes', 8_000_000],
    ['MILLRACE_FLUSH_BYTES', '8_388_608', 'flushBytes', 8_388_608],
    ['MILLRACE_MEMORY_BUDGET_MB', '256', 'memoryBudgetBytes', 268_435_456],
    ['MILLRACE_MEMORY_BUDGET_MB', '1 GiB', 'memoryBudgetBytes', 1_073_741_824],
    ['MILLRACE_FLUSH_INTERVAL_MS', '100ms', 'flushIntervalMs', 100],
    ['MILLRACE_FLUSH_INTERVAL_MS', '1.5s', 'flushIntervalMs', 1500],
    ['MILLRACE_HTTP_ALLOW_PLAINTEXT', 'yes', 'httpAllowPlaintext', true],
    ['MILLRACE_KAFKA_TOPICS', ' logs , other ', 'kafkaTopics', ['logs', 'other']],
    ['MILLRACE_KAFKA_BROKERS', 'a,b:9093,[::1]:9094', 'kafkaBrokers', ['a:9092', 'b:9093', '[::1]:9094']],
    ['PORT', '9000', 'httpPort', 9000],
  ] as const)('reads %s=%s', (...row) => {
    const [variable, text, key, expected] = row;
    expect(load({ [variable]: text })[key]).toEqual(expected);
  });

  test('MILLRACE_HTTP_PORT wins over PORT and an empty variable counts as unset', () => {
    expect(load({ PORT: '9000', MILLRACE_HTTP_PORT: '9001' }).httpPort).toBe(9001);
    expect(load({ PORT: '9000', MILLRACE_HTTP_PORT: '' }).httpPort).toBe(9000);
  });

  test('names all problems at once', () => {
    const text = problemsOf(
      {
        MILLRACE_HTTP_PORT: '70000',
        MILLRACE_FLUSH_ROW: '5',
        MILLRACE_HTTP_HOST: '0.0.0.0',
        MILLRACE_LOG_LEVEL: 'loud',
        MILLRACE_KAFKA_BROKERS: 'http://x/',
        MILLRACE_TLS_CERT: '/nowhere.pem',
      },
      { MEMORY_BUDGET_MB: '1' },
    );
    expect(text).toContain('7 settings are wrong');
    expect(text).toContain('MILLRACE_HTTP_PORT: must be at most 65535, not "70000"');
    expect(text).toContain('MILLRACE_FLUSH_ROW: no such setting; did you mean MILLRACE_FLUSH_ROWS?');
    expect(text).toContain('HTTP_HOST 0.0.0.0 can be reached from other machines');
    expect(text).toContain('MILLRACE_LOG_LEVEL: must be one of debug, info, warn, error, silent, not "loud"');
    expect(text).toContain('MILLRACE_KAFKA_BROKERS: must be a list of host:port');
    expect(text).toContain('TLS_CERT and TLS_KEY need each other');
    expect(text).toContain('--memory-budget-mb: must be at least 64 MiB, not "1"');
  });

  test('refuses unknown keys of the file, with a suggestion and the path', () => {
    const path = fileOf('b.yaml', 'http:\n  prot: 1\nnonsense: 2\nkafka:\n  deep:\n    er: 1\n');
    expect(() => load({}, {}, path)).toThrow(
      /b\.yaml: http\.prot: no such setting; did you mean http_port\?/,
    );
    expect(() => load({}, {}, path)).toThrow(/b\.yaml: nonsense: no such setting/);
    expect(() => load({}, {}, path)).toThrow(/b\.yaml: kafka\.deep: no such setting/);
  });

  test('refuses a file that is missing, is no map, or is not YAML', () => {
    expect(() => load({}, {}, join(folder, 'none.yaml'))).toThrow(/cannot read the settings file/);
    expect(() => load({}, {}, fileOf('c.yaml', '- 1\n'))).toThrow(/must be a map of settings/);
    expect(() => load({}, {}, fileOf('d.yaml', 'a: [1\n'))).toThrow(/d\.yaml: /);
    expect(load({}, {}, fileOf('e.yaml', '')).httpPort).toBe(8080);
  });

  test('serves other machines only with TLS or on purpose', () => {
    const cert = fileOf('cert.pem', 'x');
    const key = fileOf('key.pem', 'x');
    expect(problemsOf({ MILLRACE_HTTP_HOST: '::' })).toContain('can be reached from other machines');
    expect(problemsOf({ MILLRACE_HTTP_HOST: '::', MILLRACE_HTTP_ALLOW_PLAINTEXT: '1' })).toBe('');
    expect(problemsOf({ MILLRACE_HTTP_HOST: '::', MILLRACE_TLS_CERT: cert, MILLRACE_TLS_KEY: key })).toBe('');
    expect(problemsOf({ MILLRACE_HTTP_HOST: '127.1.2.3' })).toBe('');
    expect(problemsOf({ MILLRACE_HTTP_HOST: '127.evil.example' })).toContain('other machines');
  });

  test.each([
    [{ MILLRACE_KAFKA_SASL_MECHANISM: 'plain' }, 'needs KAFKA_SASL_USERNAME'],
    [{ MILLRACE_KAFKA_SASL_USERNAME: 'u' }, 'need KAFKA_SASL_MECHANISM'],
    [{ MILLRACE_CLICKHOUSE_USER: 'u' }, 'CLICKHOUSE_USER needs CLICKHOUSE_URL'],
    [{ MILLRACE_FLUSH_BYTES: '150MiB' }, 'FLUSH_BYTES must not be larger than half of MEMORY_BUDGET_MB'],
    [{ MILLRACE_MAX_RECORD_BYTES: '20MiB' }, 'MAX_RECORD_BYTES must not be larger than MAX_BODY_BYTES'],
    [{ MILLRACE_ADMIN_PORT: '8080' }, 'must differ'],
    [{ MILLRACE_KAFKA_TOPICS: ',' }, 'must name at least one topic'],
    [{ MILLRACE_TRUSTED_PROXIES: '10.0.0.0/8,10.0.0.0/33' }, 'TRUSTED_PROXIES: "10.0.0.0/33" is neither'],
    [{ MILLRACE_TRUSTED_PROXIES: 'proxy.example' }, 'TRUSTED_PROXIES: "proxy.example" is neither'],
    [{ MILLRACE_CORS_ORIGINS: '*' }, 'CORS_ORIGINS: must be a list of origins'],
    [{ MILLRACE_CORS_ORIGINS: 'https://a.example/' }, 'CORS_ORIGINS: must be a list of origins'],
    [{ MILLRACE_CORS_ORIGINS: 'https://a.example:70000' }, 'CORS_ORIGINS: "https://a.example:70000" is not'],
    [{ MILLRACE_CLICKHOUSE_URL: 'ftp://x' }, 'must be an http or https address'],
    [{ MILLRACE_CLICKHOUSE_DATABASE: 'a;b' }, 'must be a name of letters'],
  ])('refuses %j', (env, expected) => {
    expect(problemsOf(env as unknown as Record<string, string>)).toContain(expected);
  });

  test('takes user and password out of CLICKHOUSE_URL', () => {
    const config = load({ MILLRACE_CLICKHOUSE_URL: 'https://me:p%40ss@db.example:8443/' });
    expect(config.clickhouseUrl).toBe('https://db.example:8443');
    expect(config.clickhouseUser).toBe('me');
    expect(config.clickhousePassword?.reveal()).toBe('p@ss');
    expect(problemsOf({ MILLRACE_CLICKHOUSE_URL: 'http://a:b@c', MILLRACE_CLICKHOUSE_USER: 'd' })).toContain(
      'set only one of them',
    );
  });

  test('takes failpoints for tests only, and none that it does not know', () => {
    const points = { MILLRACE_FAILPOINTS: 'insert_after:kill@3,sabotage:skip_guard' };
    expect(load(points).failpoints).toBe('insert_after:kill@3,sabotage:skip_guard');
    expect(problemsOf({ ...points, NODE_ENV: 'production' })).toContain('not with NODE_ENV=production');
    for (const text of [
      'insert_after',
      'nowhere:kill',
      'insert_after:sing',
      'sabotage:all',
      'worker:exit@0',
    ]) {
      expect(problemsOf({ MILLRACE_FAILPOINTS: text })).toContain(`FAILPOINTS has ${JSON.stringify(text)}`);
    }
  });

  test('refuses a password in arguments', () => {
    const text = problemsOf({}, { CLICKHOUSE_URL: 'http://u:hunter2@c' });
    expect(text).toContain('a password does not belong in arguments');
    expect(text).not.toContain('hunter2');
  });

  test('reads secrets from files and never shows them', () => {
    const path = fileOf('secret', 'correct-horse\n');
    const config = load({
      MILLRACE_ADMIN_PASSWORD_FILE: path,
      MILLRACE_CLICKHOUSE_URL: 'http://u:hunter2@c',
      MILLRACE_METRICS_TOKEN: 'token-token-token',
      MILLRACE_REDIS_URL: 'redis://u:hunter2@r:6379/0',
    });
    expect(config.adminPassword?.reveal()).toBe('correct-horse');
    expect(config.redisUrl?.reveal()).toBe('redis://u:hunter2@r:6379/0');
    const shown = [
      inspect(config, { depth: 9, showHidden: true }),
      JSON.stringify(config),
      JSON.stringify(printableConfig(config)),
      String(config.adminPassword),
      String(config.redisUrl),
    ].join('\n');
    expect(shown).not.toMatch(/correct-horse|hunter2|token-token/);
    expect(shown).toContain('[redacted]');
    expect(shown).toContain('redis://u:[redacted]@r:6379/0');
  });

  test('a problem with a secret does not show it', () => {
    const text = problemsOf({ MILLRACE_ADMIN_PASSWORD: 'short', MILLRACE_METRICS_TOKEN: 'tiny' });
    expect(text).toContain('MILLRACE_ADMIN_PASSWORD: must have at least 8 characters');
    expect(text).not.toMatch(/"short"|tiny/);
  });

  test('refuses what config print shows in the place of a secret', () => {
    expect(problemsOf({ MILLRACE_ADMIN_PASSWORD: '[redacted]' })).toContain('not the value itself');
  });

  test('refuses a secret given twice', () => {
    const path = fileOf('secret2', 'correct-horse');
    expect(
      problemsOf({ MILLRACE_ADMIN_PASSWORD: 'correct-horse', MILLRACE_ADMIN_PASSWORD_FILE: path }),
    ).toContain('ADMIN_PASSWORD is given too');
  });

  test('says which settings have no effect yet, and keeps them out of documents', () => {
    const { warnings } = loadConfig({ env: { MILLRACE_FLUENT_PORT: '24224' }, flags: {} });
    expect(warnings).toEqual([expect.stringContaining('MILLRACE_FLUENT_PORT: accepted, but has no effect')]);
    expect(settingsMarkdown()).not.toContain('FLUENT_PORT');
    expect(settingsMarkdown()).toContain('| `MILLRACE_FLUSH_ROWS` | `--flush-rows` | 100000 |');
  });

  test('leaves variables of test runs and the path of the file alone', () => {
    expect(problemsOf({ MILLRACE_TEST_KAFKA_BROKERS: 'x', MILLRACE_CONFIG: '', HOME: '/' })).toBe('');
  });
});
