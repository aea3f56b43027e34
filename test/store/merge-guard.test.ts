import { readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MergeGuard, mergeFloorBytes } from '../../src/store/embedded/merge-guard.ts';
import { PartCheck } from '../../src/store/embedded/part-check.ts';
import { repairParts } from '../../src/store/index-repair.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;
const LOOK_MS = 1000;
const INSERTS = 5;
const ROWS = 10_000;
const SUM = 'SELECT count() AS rows, sum(offset) AS offsets FROM logs';
const WHOLE = [{ rows: INSERTS * ROWS, offsets: ((INSERTS * ROWS - 1) * INSERTS * ROWS) / 2 }];

let clickhouse: TestClickHouse;
let guard: MergeGuard;
let parts: PartCheck;
let freeBytes = 0;

beforeEach(async () => {
  clickhouse = await startClickHouse();
  const { store, server, telemetry } = clickhouse;
  parts = new PartCheck({ store, telemetry, restart: () => server.restart() });
  guard = new MergeGuard({
    dataDir: clickhouse.dataDir,
    store,
    telemetry,
    parts,
    pid: () => server.pid,
    room: () => Promise.resolve({ freeBytes, totalBytes: 800 * MIB }),
  });
});

afterEach(async () => {
  guard.stop();
  await clickhouse.stop();
});

async function lookAt(bytes: number): Promise<void> {
  freeBytes = bytes;
  await guard.look();
}

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
  for (let i = 0; i < 2; i++) await store.command('INSERT INTO logs (source) SELECT 1');
  await lookAt(99 * MIB);
  expect(await merges()).toMatch(/ABORTED|Cancelled/);
  await server.restart();
  await until(async () => await store.ping(), { timeoutMs: 20_000 });
  await lookAt(104 * MIB);
  expect(await merges()).toMatch(/ABORTED|Cancelled/);
  await lookAt(105 * MIB);
  expect(await merges()).toBe('done');
  expect(telemetry.count('merges_stopped')).toBe(1);
  expect(telemetry.count('merges_resumed')).toBe(1);
});

test('the limit leaves a small disk most of its room', () => {
  expect(mergeFloorBytes(256 * MIB)).toBe(64 * MIB);
  expect(mergeFloorBytes(1024 * MIB)).toBe(128 * MIB);
  expect(mergeFloorBytes(1e12)).toBe(512 * MIB);
});

test('what has expired gives its room although nothing is merged', async () => {
  const { store } = clickhouse;
  await store.command('SYSTEM STOP TTL MERGES');
  await store.command(
    `INSERT INTO logs (source, offset, stored_at, retention_days) SELECT 1, 1, now() - 86400 * 3, 1`,
  );
  await store.command(`INSERT INTO logs (source, offset, retention_days) SELECT 1, 2, 30`);
  await lookAt(20 * MIB);
  expect(await store.query('SELECT toUInt32(offset) AS offset FROM logs')).toEqual([{ offset: 2 }]);
});

test('what a merge lost on a full disk is brought back, once there is room for a restart', async () => {
  const { telemetry } = clickhouse;
  await mergeOntoFullDisk();
  freeBytes = 10 * MIB;
  guard.start();
  await until(() => telemetry.count('part_unreadable') === 1, { timeoutMs: 20_000 });
  await delay(LOOK_MS * 2);
  expect(telemetry.count('store_exited')).toBe(0);
  freeBytes = 20 * MIB;
  await expectWhole();
  expect(telemetry.events).toContainEqual({
    event: 'part_unreadable',
    fields: expect.objectContaining({ table: 'logs', hasSources: true }) as object,
  });
  await until(() => telemetry.count('parts_put_aside') === 1, { timeoutMs: 20_000 });
});

test('what a query meets is brought back', async () => {
  const { store, telemetry } = clickhouse;
  repairParts(store, telemetry, (part) => parts.met(part));
  await mergeOntoFullDisk();
  freeBytes = 800 * MIB;
  guard.start();
  await expectWhole();
  expect(telemetry.count('part_unreadable')).toBe(1);
  expect(telemetry.count('merges_stopped')).toBe(0);
});

test('nothing is restarted, nor read again and again, when the parts that it was merged from are gone', async () => {
  const { store, telemetry, server } = clickhouse;
  await store.command(
    'ALTER TABLE logs MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 1, max_cleanup_delay_period = 1',
  );
  // Whoever cleans up sleeps for the old period first.
  await server.restart();
  await until(async () => await store.ping(), { timeoutMs: 20_000 });
  telemetry.events.length = 0;
  await mergeOntoFullDisk();
  await until(
    async () =>
      (await store.query(`SELECT name FROM system.parts WHERE table = 'logs' AND NOT active`)).length === 0,
    { timeoutMs: 60_000 },
  );
  repairParts(store, telemetry, (part) => parts.met(part));
  freeBytes = 800 * MIB;
  guard.start();
  for (let i = 0; i < 3; i++) {
    await expect(store.query(SUM)).rejects.toThrow('CORRUPTED_DATA');
    await delay(LOOK_MS * 2);
  }
  expect(telemetry.events.filter(({ event }) => event === 'part_unreadable')).toEqual([
    {
      event: 'part_unreadable',
      fields: expect.objectContaining({ table: 'logs', hasSources: false }) as object,
    },
  ]);
  expect(telemetry.count('store_exited')).toBe(0);
}, 90_000);
