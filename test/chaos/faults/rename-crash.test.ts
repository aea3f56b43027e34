/** The kill at a rename, against the real server with a table and a view on it: what is there afterwards. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { skipHere } from '../../support/skip-here.ts';
import { until } from '../../support/until.ts';
import { armRenameCrash, type RenameCrashOptions, straceProblem } from './rename-crash.ts';

const ROWS = 10;

let clickhouse: TestClickHouse;
let tables: Record<string, string>;
beforeEach(async (context) => {
  const problem = await straceProblem();
  if (problem !== '') skipHere(context, problem);
  clickhouse = await startClickHouse({ isMigrated: false });
  const { store } = clickhouse;
  for (const name of ['base', 'rollup']) {
    await store.command(`CREATE TABLE ${name} (number UInt64) ENGINE = MergeTree ORDER BY number`);
  }
  await store.command('CREATE MATERIALIZED VIEW view TO rollup AS SELECT number FROM base');
  const sql = `SELECT name, toString(uuid) AS uuid FROM system.tables WHERE database = 'millrace'`;
  const rows = await store.query<{ name: string; uuid: string }>(sql);
  tables = Object.fromEntries(rows.map(({ name, uuid }) => [name, uuid]));
});
afterEach(async () => {
  await clickhouse?.stop();
});

async function counts(): Promise<{ base: number; rollup: number }> {
  const sql = 'SELECT (SELECT count() FROM base) AS base, (SELECT count() FROM rollup) AS rollup';
  const [row] = await clickhouse.store.query<{ base: number; rollup: number }>(sql);
  return row ?? { base: -1, rollup: -1 };
}

async function crashAt(at: RenameCrashOptions['at'], table: string) {
  const { server, store } = clickhouse;
  const { pid } = server;
  const crash = await armRenameCrash({
    pid,
    at,
    isIt: (rename) => rename.by === 'insert' && rename.table === tables[table],
  });
  const answer = store.command(`INSERT INTO base SELECT number FROM numbers(${ROWS})`);
  await expect(answer).rejects.toThrow('cannot be reached');
  const struck = await crash.struck;
  await until(() => server.isRunning && server.pid !== pid);
  return struck;
}

test.each([
  { at: 'before', table: 'base', stored: { base: 0, rollup: 0 } },
  { at: 'after', table: 'base', stored: { base: ROWS, rollup: 0 } },
  { at: 'before', table: 'rollup', stored: { base: ROWS, rollup: 0 } },
  { at: 'after', table: 'rollup', stored: { base: ROWS, rollup: ROWS } },
] as const)('killed $at the rename of a part of $table', async ({ at, table, stored }) => {
  expect(await crashAt(at, table)).toEqual({ by: 'insert', table: tables[table], part: 'all_1_1_0' });
  expect(await counts()).toEqual(stored);
});

test('a crash that never comes is told, and the server goes on', async () => {
  const { server, store } = clickhouse;
  const { pid } = server;
  const crash = await armRenameCrash({ pid, at: 'before', isIt: ({ by }) => by === 'mutation' });
  await store.command(`INSERT INTO base SELECT number FROM numbers(${ROWS})`);
  crash.stop();
  await expect(crash.struck).rejects.toThrow('not killed');
  expect(server.pid).toBe(pid);
  expect(await counts()).toEqual({ base: ROWS, rollup: ROWS });
});
