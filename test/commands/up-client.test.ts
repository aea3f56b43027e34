import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createStore, type Store } from '../../src/store/clickhouse-client.ts';
import { readRunFile } from '../../src/store/run-file.ts';
import { type CliResult, type RunningCli, runCli, startCli } from '../support/cli.ts';

describe('commands on a running program', () => {
  let folder = '';
  let dataDir = '';
  let up: RunningCli;
  let banner = '';
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-up-'));
    dataDir = join(folder, 'data');
    up = startCli(['up', '--data-dir', dataDir, '--http-port', '0', '--min-free-disk-mb', '0']);
    banner = await up.waitFor('Ctrl-C stops it');
  });
  afterAll(async () => {
    await up.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  function run(args: readonly string[], input = ''): Promise<CliResult> {
    return runCli([...args, '--data-dir', dataDir, '--json'], { input });
  }

  async function openStore(): Promise<Store> {
    const running = await readRunFile(dataDir);
    const { port, header, key } = running!.clickhouse;
    const url = `http://127.0.0.1:${port}`;
    return createStore({ url, headers: { [header]: key }, database: 'millrace' });
  }

  function fileOf(name: string, content: string | Buffer): string {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  }

  function bannerPart(pattern: RegExp): string {
    return pattern.exec(banner)?.[1] ?? '';
  }

  test('the first start says where it is and prints the password that works', async () => {
    const url = bannerPart(/Millrace is ready +(\S+)/);
    const password = bannerPart(/Password +(\S+)/);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(banner).toContain(`Data        ${dataDir} (embedded ClickHouse)`);
    expect(banner).toContain('Kafka       off');
    const args = ['status', '--url', url, '--user', 'admin', '--password-file', '-', '--json'];
    const right = await runCli(args, { input: `${password}\n` });
    expect(right).toMatchObject({ code: 0, stderr: '' });
    const wrong = await runCli(args, { input: 'not-the-password\n' });
    expect(wrong.code).toBe(1);
    expect(JSON.parse(wrong.stderr)).toMatchObject({ status: 401, code: 'unauthorized' });
  });

  test('what produce sends over HTTP is stored: ClickHouse computes the same checksum', async () => {
    const args = ['--url', 'local', '--kind', 'mixed', '--rate', '0', '--count', '20000', '--seed', '5'];
    const produced = await run(['produce', ...args, '--first-seq', '1000001']);
    expect(produced).toMatchObject({ code: 0, stderr: '' });
    const account = JSON.parse(produced.stdout);
    const store = await openStore();
    const sql = `SELECT events, distinct_events, toString(checksum) AS checksum FROM (${account.query})`;
    const [stored] = await store.query(sql);
    await store.close();
    expect(stored).toEqual({ events: 20_000, distinct_events: 20_000, checksum: account.checksum });
  });

  test('import loads NDJSON, arrays, text and gz, and names the lines that were rejected', async () => {
    const ndjson =
      '{"service":"imp","message":"one"}\n{"service":"imp","mess\n{"service":"imp","message":"two"}\n';
    const files = [
      fileOf('a.ndjson', ndjson),
      fileOf(
        'b.json',
        JSON.stringify([{ service: 'imp', message: 'three' }, { message: 'four' }], undefined, 2),
      ),
      fileOf(
        'c.log.gz',
        gzipSync('Jun  1 12:00:00 web-01 sshd[7]: Server listening on :: port 22.\nplain line\n'),
      ),
    ];
    const imported = await run(['import', ...files]);
    expect(imported).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(imported.stdout)).toMatchObject({
      accepted: 6,
      rejected: 1,
      first_rejected: [{ file: files[0], line: 2, code: 'malformed_json' }],
    });
    const piped = await run(['import', '-'], '{"message":"from standard input"}\n');
    expect(JSON.parse(piped.stdout)).toMatchObject({ accepted: 1, rejected: 0 });
  });

  test('import keeps what follows a broken first line, and fails on an array that is cut short', async () => {
    const broken = await run(
      ['import', '-'],
      '{bad\n{"service":"imp","message":"a"}\n{"service":"imp","message":"b"}\n',
    );
    expect(broken.code).toBe(0);
    expect(JSON.parse(broken.stdout)).toMatchObject({ accepted: 2, rejected: 1, incomplete: [] });
    const path = fileOf('cut.json', '[{"message":"a"},{"message":"b"},{"mess');
    const cut = await run(['import', path]);
    expect(cut.code).toBe(1);
    expect(JSON.parse(cut.stdout)).toMatchObject({ accepted: 2, rejected: 1, incomplete: [{ file: path }] });
    const text = await runCli(['import', path, '--data-dir', dataDir]);
    expect(text.code).toBe(1);
    expect(text.stderr).toContain(`${path}: the array is not closed`);
  });

  test('line numbers of rejected records count through the chunks of a large file', async () => {
    const line = `{"service":"imp","message":"${'x'.repeat(1000)}"}\n`;
    const path = fileOf('large.ndjson', `${line.repeat(2999)}{"broken\n${line}`);
    const { stdout } = await run(['import', path]);
    expect(JSON.parse(stdout)).toMatchObject({
      accepted: 3000,
      rejected: 1,
      first_rejected: [{ line: 3000 }],
    });
  });

  test('status shows health, counts and the ledger, which adds up', async () => {
    const { code, stdout } = await run(['status']);
    expect(code).toBe(0);
    const status = JSON.parse(stdout);
    expect(status).toMatchObject({ ready: true, problems: [] });
    expect(status.ledger.length).toBeGreaterThan(0);
    expect(status.balanced).toBe(true);
    for (const { received, stored, already_present, dead_lettered, filtered } of status.ledger) {
      const sum = (counts: Record<string, number>): number =>
        Object.values(counts).reduce((a, b) => a + b, 0);
      expect(received).toBe(stored + already_present + sum(dead_lettered) + sum(filtered));
    }
    const text = await runCli(['status', '--data-dir', dataDir]);
    expect(text.stdout).toMatch(/^health {3}ready$/m);
    expect(text.stdout).toMatch(/^ledger .*received .*stored/m);
  });

  test('status fails when a ledger row is not balanced', async () => {
    const store = await openStore();
    const row = { source: 255, partition: 1, from_offset: 0, to_offset: 9, received: 9, stored: 8 };
    await store.insertJson('ledger', [row]);
    const text = await runCli(['status', '--data-dir', dataDir]);
    expect(text.code).toBe(1);
    expect(text.stdout).toMatch(/^ledger {3}NOT BALANCED: .*\/1$/m);
    await store.insertJson('ledger', [{ ...row, to_offset: 10, stored: 9 }]);
    await store.close();
    expect((await run(['status'])).code).toBe(0);
  });

  test('users are changed in the store of the running program', async () => {
    expect((await run(['user', 'add', 'ops', '--role', 'viewer'], 'correct-horse\n')).code).toBe(0);
    const url = bannerPart(/Millrace is ready +(\S+)/);
    const args = ['status', '--url', url, '--user', 'ops', '--json'];
    expect((await runCli(args, { input: 'correct-horse\n' })).code).toBe(0);
    expect((await run(['user', 'passwd', 'ops'], 'battery-staple\n')).code).toBe(0);
    expect((await runCli(args, { input: 'correct-horse\n' })).code).toBe(1);
  });

  test('a second program on the same data directory is refused', async () => {
    const second = await run(['up', '--http-port', '0']);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('data_dir_in_use');
  });

  test('SIGTERM drains and ends with 0', async () => {
    expect(await up.stop()).toBe(0);
    expect(await readRunFile(dataDir)).toBeUndefined();
  });
});
