/**
 * `Idempotency-Key` on `POST /logs` of the real program: however often a body is sent, and whoever is killed in
 * between, its records are stored once, and the answer is always the same.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Store } from '../../src/store/clickhouse-client.ts';
import { startClickHouse } from '../support/clickhouse.ts';
import { startKeyedProxy } from '../support/keyed-proxy.ts';
import { type Program, startProgram } from '../support/program.ts';
import { expectRollups } from '../support/stored.ts';
import { until } from '../support/until.ts';

const RECORD_COUNT = 3000;
/** 1-based lines that are no JSON. */
const BROKEN_LINES = [7, 1500];
/** A line without anything is no record; the lines after it count one further. */
const BLANK_LINE = 20;
const ACCEPTED = RECORD_COUNT - BROKEN_LINES.length;

let dataDir = '';
const programs: Program[] = [];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-keys-'));
});
afterEach(async () => {
  await Promise.all(programs.splice(0).map((program) => program.kill()));
  await rm(dataDir, { recursive: true, force: true });
});

async function start(settings: Readonly<Record<string, string>> = {}, dir = dataDir): Promise<Program> {
  const program = await startProgram({ dataDir: dir, settings });
  programs.push(program);
  await program.ready();
  return program;
}

/** NDJSON with broken lines in it, so that rows of it go to two tables. */
function bodyOf(service: string): string {
  const lines = Array.from({ length: RECORD_COUNT }, (_, i) =>
    BROKEN_LINES.includes(i + 1)
      ? '{"broken'
      : JSON.stringify({
          timestamp: '2026-01-02T03:04:05.678Z',
          service,
          host: `h${i % 7}`,
          message: `m${i}`,
          cpu_usage: i % 100,
          memory_usage: { used: i, total: 4096, percentage: i % 50 },
          network: { rx_bytes: i, tx_bytes: 2 * i },
        }),
  );
  return lines.toSpliced(BLANK_LINE - 1, 0, '').join('\n');
}

interface Posted {
  readonly status: number;
  readonly isReplayed: boolean;
  readonly body: {
    readonly accepted?: number;
    readonly rejected?: readonly object[];
    readonly code?: string;
  };
}

async function post(program: Program, key: string, body: string): Promise<Posted> {
  const headers = { 'Content-Type': 'application/x-ndjson', 'Idempotency-Key': key };
  const answer = await program.post('/logs', body, headers);
  const isReplayed = answer.headers.get('idempotency-replayed') === 'true';
  return { status: answer.status, isReplayed, body: (await answer.json()) as Posted['body'] };
}

/** Sends until the answer is neither "under way" nor "not now". */
async function postUntilAnswered(program: Program, key: string, body: string): Promise<Posted> {
  let last: Posted | undefined;
  await until(
    async () => {
      last = await post(program, key, body);
      return ![409, 429, 503].includes(last.status);
    },
    { timeoutMs: 20_000, intervalMs: 200, seen: () => last },
  );
  return last!;
}

/** Every record of the body is in exactly one of the tables, once; the rollups say the same. */
async function expectOnce(store: Store, service: string): Promise<void> {
  const [logs] = await store.query(
    `SELECT count() AS rows, uniqExact(message) AS messages, uniqExact(offset) AS offsets FROM logs
     WHERE service = {service:String}`,
    { service },
  );
  expect(logs).toEqual({ rows: ACCEPTED, messages: ACCEPTED, offsets: ACCEPTED });
  const letters = await store.query('SELECT count() AS rows, uniqExact(offset) AS offsets FROM dead_letters');
  expect(letters).toEqual([{ rows: BROKEN_LINES.length, offsets: BROKEN_LINES.length }]);
  await expectRollups(store, '1m');
  await expectRollups(store, '1h');
}

function expectAnswer({ status, body }: Posted): void {
  expect(status).toBe(200);
  expect(body.accepted).toBe(ACCEPTED);
  const [first = 0, second = 0] = BROKEN_LINES;
  const code = 'malformed_json';
  expect(body.rejected).toEqual([
    expect.objectContaining({ line: first, code }),
    // One further: the blank line lies before it.
    expect.objectContaining({ line: second + 1, code }),
  ]);
}

describe('a body with a key', { timeout: 120_000 }, () => {
  test('is stored once by one program, and later answers repeat the first', async () => {
    const program = await start();
    const body = bodyOf('one');
    const together = await Promise.all([1, 2, 3].map(() => post(program, 'k', body)));
    for (const posted of together) expectAnswer(posted);
    expect(together.filter(({ isReplayed }) => !isReplayed)).toHaveLength(1);
    const later = await post(program, 'k', body);
    expect(later).toEqual({ ...together.find(({ isReplayed }) => isReplayed) });
    const other = await post(program, 'k', body.replace('m1', 'x1'));
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    const store = program.openStore();
    await expectOnce(store, 'one');
    await store.close();
  });

  test.each(['insert_before:kill', 'insert_after:kill', 'insert_after:kill@2'])(
    'is stored once when the program dies at %s, and again under the retry',
    async (failpoint) => {
      const body = bodyOf('killed');
      for (const settings of [{ FAILPOINTS: failpoint }, { FAILPOINTS: 'insert_after:kill' }]) {
        const program = await start(settings);
        await post(program, 'k', body).catch(() => undefined);
        await program.kill();
      }
      const program = await start();
      const first = await postUntilAnswered(program, 'k', body);
      expectAnswer(first);
      const second = await post(program, 'k', body);
      expect(second).toEqual({ ...first, isReplayed: true });
      const store = program.openStore();
      await expectOnce(store, 'killed');
      await store.close();
      const { balanced } = await program.get('/pipeline/ledger');
      expect(balanced).toBe(true);
    },
  );

  test('would be stored twice without the read-back, and these tests would notice', async () => {
    const body = bodyOf('sabotaged');
    const program = await start({ FAILPOINTS: 'insert_after:kill' });
    await post(program, 'k', body).catch(() => undefined);
    await program.kill();
    const next = await start({ FAILPOINTS: 'sabotage:skip_read_back' });
    expectAnswer(await postUntilAnswered(next, 'k', body));
    const store = next.openStore();
    await expect(expectOnce(store, 'sabotaged')).rejects.toThrow();
    await store.close();
  });

  test('keeps its ids when a retry finishes what was begun', async () => {
    const body = bodyOf('ids');
    const program = await start({ FAILPOINTS: 'insert_after:kill' });
    await post(program, 'k', body).catch(() => undefined);
    await program.kill();
    const next = await start();
    const store = next.openStore();
    const ids = (): Promise<{ ids: string[] }[]> =>
      store.query(`SELECT groupArray(toString(id)) AS ids FROM (SELECT id FROM logs ORDER BY offset)`);
    const [before] = await ids();
    await postUntilAnswered(next, 'k', body);
    const [after] = await ids();
    await store.close();
    const kept = new Set(after?.ids);
    expect(before?.ids.every((id) => kept.has(id))).toBe(true);
    expect(kept.size).toBe(ACCEPTED);
  });
});

describe('two programs at one ClickHouse', { timeout: 180_000 }, () => {
  test('store a body once that both get at the same time', async () => {
    const clickhouse = await startClickHouse();
    const proxy = await startKeyedProxy(clickhouse.connection);
    const dirs = [join(dataDir, 'a'), join(dataDir, 'b')] as const;
    try {
      const settings = { CLICKHOUSE_URL: proxy.url };
      const [a, b] = (await Promise.all(dirs.map((dir) => start(settings, dir)))) as [Program, Program];
      const bodies = Array.from(
        { length: 20 },
        (_, i) => [`k${i}`, `{"service":"both","message":"m${i}"}`] as const,
      );
      const both = await Promise.all(
        bodies.flatMap(([key, body]) => [a, b].map((program) => postUntilAnswered(program, key, body))),
      );
      for (const posted of both) expect(posted).toMatchObject({ status: 200, body: { accepted: 1 } });
      const [row] = await clickhouse.store.query(
        `SELECT count() AS rows, uniqExact(message) AS messages FROM logs WHERE service = 'both'`,
      );
      expect(row).toEqual({ rows: bodies.length, messages: bodies.length });
    } finally {
      await Promise.all(programs.splice(0).map((program) => program.kill()));
      await proxy.stop();
      await clickhouse.stop();
    }
  });
});
