import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { runCli } from '../support/cli.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ANSI_ESCAPE = '\u001B[';
const PACKAGE = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

describe('command line', () => {
  test('--help lists every command and ends with 0', async () => {
    const { code, stdout, stderr } = await runCli(['--help']);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    for (const name of [
      'up',
      'process',
      'api',
      'produce',
      'consume',
      'import',
      'status',
      'user',
      'migrate',
      'config',
    ]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name} `, 'm'));
    }
    expect(stdout).not.toContain(ANSI_ESCAPE);
  });

  test.each([
    'up',
    'process',
    'api',
    'produce',
    'consume',
    'import',
    'status',
    'key add',
    'migrate',
    'config check',
    'user add',
  ])('%s --help shows its flags, --json among them', async (name) => {
    const { code, stdout } = await runCli([...name.split(' '), '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('--json');
    expect(stdout).toContain('--data-dir <text>');
    expect(stdout).not.toMatch(/--(admin|clickhouse|kafka-sasl)-password </);
  });

  test('process --help shows the settings that it uses only, and takes the others', async () => {
    const { stdout } = await runCli(['process', '--help']);
    for (const flag of ['--http-host', '--admin-port', '--metrics-token-file', '--kafka-brokers'])
      expect(stdout).toContain(`${flag} `);
    for (const flag of ['--http-port', '--http-server', '--tls-cert', '--admin-password', '--max-body-bytes'])
      expect(stdout).not.toContain(flag);
    const taken = await runCli(['process', '--http-port', '0']);
    expect(taken.stderr).toContain('needs KAFKA_BROKERS');
  });

  test('help says what without --from-beginning is read, and when import fails', async () => {
    const { stdout } = await runCli(['consume', '--help']);
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain('without --from-beginning only new ones');
    expect((await runCli(['import', '--help'])).stdout).toContain('when all were rejected');
  });

  test('version prints the version of the package', async () => {
    expect(await runCli(['version'])).toEqual({
      code: 0,
      stdout: `millrace ${PACKAGE.version}\n`,
      stderr: '',
    });
    const { stdout } = await runCli(['version', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ version: PACKAGE.version });
  });

  test.each([
    [['vers'], "unknown command 'vers' (Did you mean version?)"],
    [['config', 'check', '--htp-port', '1'], "unknown option '--htp-port' (Did you mean --http-port?)"],
    [['produce', '--kind', 'x'], 'is invalid. Allowed choices are logs'],
    [['produce', '--rate', 'fast'], '--rate must be a number from 0'],
    [['produce', '--start', 'noon'], '--start must be a time like'],
    [['produce', '--scenario', 'web-scan', '--kind', 'threat-logs'], 'use --kind logs or mixed'],
    [['produce'], 'No Kafka brokers are given'],
    [['consume', '--count', '0'], '--count must be a whole number'],
    [['consume', '--brokers', '127.0.0.1:1', '--output', '/nowhere/x'], 'Cannot write "/nowhere/x"'],
    [['import'], "missing required argument 'file'"],
    [['import', '/nowhere/x.log'], 'Cannot read "/nowhere/x.log"'],
    [['user', 'add', 'x', '--role', 'king'], 'Allowed choices are admin'],
    [['api'], 'needs CLICKHOUSE_URL'],
    [['process'], 'needs KAFKA_BROKERS and CLICKHOUSE_URL'],
    [['status', '--data-dir', '/nowhere'], 'No program runs on the data directory'],
    [['status', '--url', 'ftp://x'], '--url must be an http or https address'],
  ])('wrong usage %j is one sentence on standard error and 2', async (args, expected) => {
    const { code, stdout, stderr } = await runCli(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(expected);
    expect(stderr).toMatch(/^millrace: [^\n]+\n$/);
  });

  test('no command, and a group without one, show help on standard error and end with 2', async () => {
    for (const args of [[], ['config']]) {
      const { code, stdout, stderr } = await runCli(args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toContain('Usage: millrace');
    }
  });

  test('--json gives problem+json and no stack', async () => {
    const { code, stderr } = await runCli(['config', 'check', '--json', '--http-port', '99999']);
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toMatchObject({
      title: 'Settings are invalid',
      code: 'config_invalid',
      detail: expect.stringContaining('--http-port: must be at most 65535'),
    });
  });

  test('a stack shows only at log level debug', async () => {
    const args = ['status', '--url', 'http://127.0.0.1:1', '--token-file', '-'];
    const quiet = await runCli(args, { input: 'token\n' });
    expect(quiet.code).toBe(1);
    expect(quiet.stderr).toMatch(/^millrace: Cannot reach http:\/\/127\.0\.0\.1:1[^\n]*\n$/);
    const loud = await runCli(args, { input: 'token\n', env: { MILLRACE_LOG_LEVEL: 'debug' } });
    expect(loud.stderr).toMatch(/\n {4}at /);
  });

  test('config check names all problems of flags, variables and file together', async () => {
    const path = join(folder, 'wrong.yaml');
    writeFileSync(path, 'flush_rows: many\nhtp_port: 1\n');
    const { code, stderr } = await runCli(['config', 'check', '--config', path, '--http-host', '0.0.0.0'], {
      env: { MILLRACE_LOG_LEVL: 'info', MILLRACE_FLUSH_BYTES: '1' },
    });
    expect(code).toBe(2);
    expect(stderr).toContain('5 settings are wrong');
    expect(stderr).toContain(`${path}: flush_rows: must be a number`);
    expect(stderr).toContain(`${path}: htp_port: no such setting; did you mean http_port?`);
    expect(stderr).toContain('MILLRACE_LOG_LEVL: no such setting; did you mean MILLRACE_LOG_LEVEL?');
    expect(stderr).toContain('MILLRACE_FLUSH_BYTES: must be at least 4096 bytes');
    expect(stderr).toContain('HTTP_HOST 0.0.0.0 can be reached');
  });

  test('config print is YAML that gives the same settings again, without secrets', async () => {
    const secret = join(folder, 'password');
    writeFileSync(secret, 'correct-horse\n');
    const args = ['config', 'print', '--admin-password-file', secret, '--flush-bytes', '8MiB', '--kafka-ssl'];
    const { code, stdout } = await runCli(args, { env: { PORT: '9999' } });
    expect(code).toBe(0);
    expect(stdout).not.toContain('correct-horse');
    const printed = parse(stdout);
    expect(printed).toMatchObject({
      admin_password: '[redacted]',
      flush_bytes: 8_388_608,
      http_port: 9999,
      kafka_ssl: true,
    });
    expect(stdout).toContain('# --flush-bytes\nflush_bytes: 8388608');
    const path = join(folder, 'again.yaml');
    writeFileSync(path, stdout.replace('"[redacted]"', 'correct-horse'));
    const again = await runCli(['config', 'print', '--config', path]);
    expect(again.stderr).toBe('');
    expect(parse(again.stdout)).toEqual(printed);
  });

  test('passwords are not taken from arguments', async () => {
    const { code, stderr } = await runCli(['user', 'passwd', 'admin', 'hunter2', '--data-dir', folder]);
    expect(code).toBe(2);
    expect(stderr).toContain('too many arguments');
    expect(stderr).not.toContain('hunter2');
  });
});
