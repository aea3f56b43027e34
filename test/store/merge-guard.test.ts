import { readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MergeGuard } from '../../src/store/embedded/merge-guard.ts';
import { repairParts } from '../../src/store/index-repair.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;
const INSERTS = 5;
const ROWS = 10_000;
const SUM = 'SELECT count() AS rows, sum(offset) AS offsets FROM logs';
const WHOLE = [{ rows: INSERTS * ROWS, offsets: ((INSERTS * ROWS - 1) * INSERTS * ROWS) / 2 }];

let clickhouse: TestClickHouse;
let guard: MergeGuard;

beforeEach(async () => {
  clickhouse = await startClickHouse();
  const { store, server, telemetry } = clickhouse;
  guard = new MergeGuard({ store, telemetry, restart: () => server.restart() });
});

afterEach(async () => {
  await clickhouse.stop();
});

/** As a merge leaves a part whose disk was full: some of its files are empty. */
async function mergeOntoFullDisk(): Promise<void> {
  const { store } = clickhouse;
  for (let i = 0; i < INSERTS; i++) {
    await store.command(
      `INSERT INTO logs (timestamp, source, partition, offset, ingested_at, stored_at, retention_days)
       SELECT toDateTime64('2026-11-21 12:00:00', 6), 1, 0, ${i * ROWS} + number, now64(6), now(), 30 FROM numbers(${ROWS})`,
    );
  }
  await store.command('OPTIMIZE TABLE logs FINAL');
  const [merged] = await store.query<{ path: string }>(
    `SELECT path FROM system.parts WHERE database = currentDatabase() AND table = 'logs' AND active`,
  );
  const path = merged?.path ?? '';
  for (const file of readdirSync(path).filter((name) => name.includes('mrk')))
    truncateSync(join(path, file), 0);
  await store.command('SYSTEM DROP MARK CACHE');
  await expect(store.query(SUM)).rejects.toThrow('CORRUPTED_DATA');
}

async function expectWhole(): Promise<void> {
  await until(async () => (await clickhouse.store.query(SUM).catch(() => [])).length > 0, {
    timeoutMs: 20_000,
  });
  expect(await clickhouse.store.query(SUM)).toEqual(WHOLE);
}

async function merges(): Promise<string> {
  return await clickhouse.store.command('OPTIMIZE TABLE logs FINAL SETTINGS optimize_throw_if_noop = 1').then(
    () => 'done',
    (error: unknown) => String(error),
  );
}

test('below the limit nothing is merged, also after a restart, and above it again', async () => {
  const { store, telemetry, server } = clickhouse;
  await store.command(
    'INSERT INTO logs (source) SELECT 1 FROM numbers(3) SETTINGS max_block_size = 1, min_insert_block_size_rows = 1',
  );
  await guard.look(99 * MIB, 100 * MIB);
  expect(await merges()).toMatch(/ABORTED|Cancelled/);
  await server.restart();
  await until(async () => await store.ping(), { timeoutMs: 20_000 });
  await guard.look(104 * MIB, 100 * MIB);
  await guard.look(99 * MIB, 100 * MIB);
  expect(await merges()).toMatch(/ABORTED|Cancelled/);
  await guard.look(104 * MIB, 100 * MIB);
  expect(await merges()).toMatch(/ABORTED|Cancelled/);
  await guard.look(105 * MIB, 100 * MIB);
  expect(await merges()).toBe('done');
  expect(telemetry.count('merges_stopped')).toBe(1);
  expect(telemetry.count('merges_resumed')).toBe(1);
});

test('what a merge lost on a full disk is brought back as soon as the disk is seen to be low', async () => {
  await mergeOntoFullDisk();
  await guard.look(0, 64 * MIB);
  await expectWhole();
  expect(clickhouse.telemetry.events).toContainEqual({
    event: 'part_unreadable',
    fields: expect.objectContaining({ table: 'logs', hasSources: true }) as object,
  });
});

test('and as soon as a query meets it', async () => {
  const { store, telemetry } = clickhouse;
  repairParts(store, telemetry, (part) => guard.met(part));
  await mergeOntoFullDisk();
  await expectWhole();
  expect(telemetry.count('part_unreadable')).toBe(1);
});

test('nothing is restarted when the parts that it was merged from are gone', async () => {
  const { store, telemetry } = clickhouse;
  await store.command(
    'ALTER TABLE logs MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 1, max_cleanup_delay_period = 1',
  );
  await mergeOntoFullDisk();
  await until(
    async () =>
      (await store.query(`SELECT name FROM system.parts WHERE table = 'logs' AND NOT active`)).length === 0,
    { timeoutMs: 60_000 },
  );
  await guard.look(0, 64 * MIB);
  await until(() => telemetry.count('part_unreadable') === 1, { timeoutMs: 20_000 });
  expect(telemetry.events).toContainEqual({
    event: 'part_unreadable',
    fields: expect.objectContaining({ table: 'logs', hasSources: false }) as object,
  });
  expect(telemetry.count('store_exited')).toBe(0);
}, 90_000);
