/** `millrace dlq` by real processes: beside a running `up`, and after it has ended. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CliResult, runCli } from '../support/cli.ts';
import { type Program, startProgram } from '../support/program.ts';
import { until } from '../support/until.ts';

/** Stands in the records that become letters, and must stand nowhere in the data directory. */
const MARKER = 'Xq7MarkerOfASecret';
const LONG = `{"service":"shop","message":"${MARKER} ${'m'.repeat(1200)}"}`;
const BROKEN = `{"service":"shop","password":"${MARKER}`;

/** A dozen processes one after the other, on a machine that has other things to do. */
const DEADLINE_MS = 180_000;

interface Letter {
  readonly id: string;
  readonly reason: string;
}

describe('dlq', { timeout: DEADLINE_MS }, () => {
  let folder = '';
  let dataDir = '';
  let up: Program;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-dlq-'));
    dataDir = join(folder, 'data');
    up = await startProgram({ dataDir, isBuilt: true, settings: { MAX_RECORD_BYTES: '1024' } });
    await up.ready();
    const file = join(folder, 'in.ndjson');
    writeFileSync(file, [LONG, BROKEN, '{"service":"shop","message":"fine"}', LONG, ''].join('\n'));
    const imported = await runCli(['import', file, '--data-dir', dataDir, '--json']);
    if (!imported.stdout.includes('"rejected":3')) throw new Error(imported.stdout + imported.stderr);
  }, DEADLINE_MS);
  afterAll(async () => {
    await up.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  function dlq(args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
    return runCli(['dlq', ...args, '--data-dir', dataDir], { env });
  }

  async function list(...args: string[]): Promise<Letter[]> {
    const { stdout, stderr, code } = await dlq(['list', '--json', ...args]);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    return JSON.parse(stdout).data;
  }

  async function storedOf(service: string): Promise<Record<string, unknown>[]> {
    const store = up.openStore();
    try {
      return await store.query(
        `SELECT toString(id) AS id, offset, length(message) AS bytes FROM logs WHERE service = {service:String} ORDER BY offset`,
        { service },
      );
    } finally {
      await store.close();
    }
  }

  test('list filters', async () => {
    expect((await list()).map(({ reason }) => reason).toSorted()).toEqual([
      'malformed_json',
      'record_too_large',
      'record_too_large',
    ]);
    expect(await list('--reason', 'malformed_json', '--source', 'http')).toHaveLength(1);
    expect(await list('--source', 'nowhere')).toEqual([]);
    expect(await list('--to', 'now-1h')).toEqual([]);
    expect(await list('--limit', '2')).toHaveLength(2);
    expect((await dlq(['list'])).stdout).toMatch(/^id .*\n([0-9a-f-]{36}  .*\n){3}$/);
  });

  test('show masks what the letter holds; --raw gives the bytes to who has the key', async () => {
    const [letter] = await list('--reason', 'malformed_json');
    const { id } = letter!;
    const shown = JSON.parse((await dlq(['show', id, '--json'])).stdout);
    expect(shown).toMatchObject({ id, preview: '{"service":"***","password":"***"', is_sealed: true });
    expect((await dlq(['show', id])).stdout).not.toContain(MARKER);
    expect((await dlq(['show', id, '--raw'])).stdout).toBe(BROKEN);
    const store = up.openStore();
    const audited = "SELECT target FROM audit WHERE action = 'dead_letters.read'";
    expect(await store.query(audited)).toEqual([{ target: id }]);
    await store.close();
    const key = join(folder, 'other.key');
    writeFileSync(key, '00'.repeat(32), { mode: 0o600 });
    const other = await dlq(['show', id, '--raw', '--key-file', key]);
    expect(other).toMatchObject({ code: 1, stdout: '' });
    expect(other.stderr).toMatch(/^millrace: The letter is sealed with key [0-9a-f]{16}; KEY_FILE holds/);
  });

  test('no byte of the data directory shows a record, and nothing was logged of it', () => {
    const files = filesOf(dataDir);
    expect(files.length).toBeGreaterThan(20);
    const showing = files.filter((path) => readFileSync(path).includes(MARKER));
    expect(showing).toEqual([]);
    expect(up.printed).not.toContain(MARKER);
  });

  test('redrive wants to know which letters, and a yes', async () => {
    for (const [args, expected] of [
      [['redrive', '--yes'], 'Say which letters'],
      [['redrive', '--all'], '--yes is needed'],
      [['redrive', 'x', '--yes'], 'is not the id of a letter'],
      [['redrive', (await list())[0]!.id, '--reason', 'malformed_json'], 'ids or filters, not both'],
      [['redrive', '--reason', 'nonsense'], "argument 'nonsense' is invalid"],
    ] as const) {
      const { code, stderr } = await dlq(args);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(expected) });
    }
  });

  test('redrive moves what is an event now; killed before the mark, it does not store twice', async () => {
    await untilSettled();
    const [first] = await list('--reason', 'record_too_large');
    const larger = ['--max-record-bytes', '64KiB', '--yes', '--json'];
    const killed = await dlq(['redrive', first!.id, ...larger], {
      MILLRACE_FAILPOINTS: 'redrive_between:kill',
    });
    expect(killed.code).toBeNull();
    expect(await storedOf('shop')).toHaveLength(2);
    expect(await list('--reason', 'record_too_large')).toHaveLength(2);

    const all = await dlq(['redrive', '--all', ...larger]);
    expect(JSON.parse(all.stdout)).toEqual({
      planned: [
        { reason: 'record_too_large', letters: 2, records: 2 },
        { reason: 'malformed_json', letters: 1, records: 1 },
      ],
      moved: 2,
      records: { stored: 2, filtered: 0, dead_lettered: 0 },
      stayed: { malformed_json: 1 },
      skipped: {},
    });
    expect(all.code).toBe(1);
    const stored = await storedOf('shop');
    expect(stored.map(({ offset, bytes }) => [offset, bytes])).toEqual([
      [0, MARKER.length + 1201],
      [2, 4],
      [3, MARKER.length + 1201],
    ]);
    // The letter had no time of its own: its id is now the event's.
    expect(stored[0]).toMatchObject({ id: expect.stringMatching(/^[0-9a-f-]{36}$/) });
    expect(stored.map(({ id }) => id)).toContain(first!.id);
    expect((await list()).map(({ reason }) => reason)).toEqual(['malformed_json']);
  });

  test('without a running program it starts ClickHouse itself', async () => {
    up.signal('SIGTERM');
    expect((await up.exited).code).toBe(0);
    expect(await list()).toHaveLength(1);
    const none = await dlq(['redrive', '--reason', 'record_too_large', '--yes']);
    expect(none).toMatchObject({ code: 0, stdout: 'No letter was driven again.\n' });
  });

  test('--help names the flags', async () => {
    const { stdout } = await runCli(['dlq', 'redrive', '--help']);
    for (const flag of [
      '--reason',
      '--source',
      '--from',
      '--all',
      '--yes',
      '--max-record-bytes',
      '--key-file',
    ]) {
      expect(stdout).toContain(flag);
    }
  });

  async function untilSettled(): Promise<void> {
    const store = up.openStore();
    try {
      await until(
        async () => {
          const [row] = await store.query<{ end: number }>('SELECT max(to_offset) AS end FROM ledger');
          return row?.end === 4;
        },
        { timeoutMs: 30_000, seen: () => up.printed.slice(-1000) },
      );
    } finally {
      await store.close();
    }
  }
});

function filesOf(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => join(path, name))
    .filter((name) => statSync(name, { throwIfNoEntry: false })?.isFile() === true);
}
