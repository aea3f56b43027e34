import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PACKAGE_ROOT } from '../../src/package-info.ts';
import { createStore, type Store } from '../../src/store/clickhouse-client.ts';
import { migrate, readMigrations } from '../../src/store/migrations.ts';
import { withMutex } from '../../src/store/mutex.ts';
import { RecordingTelemetry, startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';

let clickhouse: TestClickHouse;
let database = 0;
let stores: Store[] = [];
let folder: string;

/** `count` clients of one new, empty database. */
async function newDatabase(count: number): Promise<Store[]> {
  database += 1;
  const name = `empty_${database}`;
  await clickhouse.store.command(`CREATE DATABASE ${name}`);
  stores = Array.from({ length: count }, () => createStore({ ...clickhouse.connection, database: name }));
  return stores;
}

beforeAll(async () => {
  clickhouse = await startClickHouse({ isMigrated: false });
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-migrations-'));
  await cp(join(PACKAGE_ROOT, 'clickhouse'), folder, { recursive: true });
});

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  await rm(folder, { recursive: true, force: true });
});

afterAll(async () => {
  await clickhouse.stop();
});

describe('migrate', () => {
  test('applies each file once and records it', async () => {
    const [store] = (await newDatabase(1)) as [Store];
    const telemetry = new RecordingTelemetry();
    const files = await readMigrations();
    expect((await migrate(store, { telemetry })).map(({ number }) => number)).toEqual(
      files.map(({ number }) => number),
    );
    expect(await migrate(store, { telemetry })).toEqual([]);
    expect(telemetry.count('migration_applied')).toBe(files.length);
    const recorded = await store.query('SELECT number, name, checksum FROM migrations ORDER BY number');
    expect(recorded).toEqual(files.map(({ number, name, checksum }) => ({ number, name, checksum })));
  });

  test('applies each file once when several programs start together', async () => {
    const programs = await newDatabase(4);
    const telemetry = new RecordingTelemetry();
    const applied = await Promise.all(programs.map((store) => migrate(store, { telemetry })));
    const files = await readMigrations();
    expect(applied.map(({ length }) => length).toSorted((a, b) => a - b)).toEqual([0, 0, 0, files.length]);
    const [row] = await programs[0]!.query<{ c: number }>('SELECT count() AS c FROM migrations');
    expect(row).toEqual({ c: files.length });
  });

  test('applies only what is new', async () => {
    const [store] = (await newDatabase(1)) as [Store];
    const telemetry = new RecordingTelemetry();
    await migrate(store, { telemetry, folder });
    await writeFile(
      join(folder, '900-later.sql'),
      "CREATE TABLE later (s String DEFAULT ';') ENGINE = Memory;",
    );
    expect((await migrate(store, { telemetry, folder })).map(({ name }) => name)).toEqual(['later']);
    await store.insertJson('later', [{}]);
    expect(await store.query('SELECT s FROM later')).toEqual([{ s: ';' }]);
  });

  test('finishes a file that was left half done', async () => {
    const [store] = (await newDatabase(1)) as [Store];
    const telemetry = new RecordingTelemetry();
    const path = join(folder, '900-half.sql');
    const good = 'CREATE TABLE IF NOT EXISTS half (n UInt8) ENGINE = Memory;';
    await writeFile(path, `${good} CREATE TABLE broken;`);
    await expect(migrate(store, { telemetry, folder })).rejects.toMatchObject({ code: 'store_refused' });
    await writeFile(path, `${good} INSERT INTO half VALUES (1);`);
    expect((await migrate(store, { telemetry, folder })).map(({ name }) => name)).toEqual(['half']);
    expect(await store.query('SELECT n FROM half')).toEqual([{ n: 1 }]);
  });

  test('refuses a file that was altered after it was applied', async () => {
    const [store] = (await newDatabase(1)) as [Store];
    const telemetry = new RecordingTelemetry();
    await migrate(store, { telemetry, folder });
    const path = join(folder, '001-logs.sql');
    await writeFile(path, `${await readFile(path, 'utf8')}-- a word more\n`);
    const failure = await migrate(store, { telemetry, folder }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'migration_conflict' });
    expect(String(failure)).toContain('Migration 001-logs was altered');
  });

  test('accepts the same file with other line ends', async () => {
    const [store] = (await newDatabase(1)) as [Store];
    const telemetry = new RecordingTelemetry();
    await migrate(store, { telemetry, folder });
    const path = join(folder, '001-logs.sql');
    await writeFile(path, (await readFile(path, 'utf8')).replaceAll('\n', '\r\n'));
    expect(await migrate(store, { telemetry, folder })).toEqual([]);
  });

  test('refuses a database that a newer version migrated', async () => {
    const [store] = (await newDatabase(1)) as [Store];
    const telemetry = new RecordingTelemetry();
    await writeFile(join(folder, '900-later.sql'), 'SELECT 1');
    await migrate(store, { telemetry, folder });
    await rm(join(folder, '900-later.sql'));
    const failure = await migrate(store, { telemetry, folder }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'migration_conflict' });
    expect(String(failure)).toContain('900-later');
  });

  test.each(['1-short.sql', '001-Capital.sql', '001.sql', '001-again.sql'])(
    'refuses a file named %s',
    async (name) => {
      await writeFile(join(folder, name), 'SELECT 1');
      await expect(readMigrations(folder)).rejects.toMatchObject({ code: 'migration_conflict' });
    },
  );
});

describe('withMutex', () => {
  test('lets one holder run at a time', async () => {
    const programs = await newDatabase(5);
    let running = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      running += 1;
      most = Math.max(most, running);
      await sleep(30);
      running -= 1;
    };
    await Promise.all(programs.map((store) => withMutex(store, { name: 'test' }, work)));
    expect(most).toBe(1);
  });

  test('is free again after its holder threw', async () => {
    const [store] = (await newDatabase(1)) as [Store];
    const failing = withMutex(store, { name: 'test' }, () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(await withMutex(store, { name: 'test', waitMs: 0 }, () => Promise.resolve('ran'))).toBe('ran');
  });

  test('is taken from a holder that died, by one of those who wait', async () => {
    const programs = await newDatabase(4);
    await programs[0]!.command(`CREATE TABLE mutex_test (nothing UInt8) ENGINE = Null COMMENT 'dead 1'`);
    let running = 0;
    const results = await Promise.all(
      programs.map((store) =>
        withMutex(store, { name: 'test' }, async () => {
          running += 1;
          await sleep(30);
          const seen = running;
          running -= 1;
          return seen;
        }),
      ),
    );
    expect(results).toEqual([1, 1, 1, 1]);
  });

  test('is not freed by a holder that lost it to another', async () => {
    const [store] = (await newDatabase(1)) as [Store];
    const comment = `SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = 'mutex_test'`;
    await withMutex(store, { name: 'test' }, async () => {
      // What another program does when this one slept past its expiry.
      const [row] = await store.query<{ comment: string }>(comment);
      await store.command(`RENAME TABLE mutex_test TO mutex_test_${row?.comment.split(' ')[0]}`);
      await store.command(`CREATE TABLE mutex_test (nothing UInt8) ENGINE = Null COMMENT 'another 1'`);
    });
    expect(await store.query(comment)).toEqual([{ comment: 'another 1' }]);
  });

  test('is kept by a holder that works longer than the expiry', async () => {
    const [holder, other] = (await newDatabase(2)) as [Store, Store];
    const order: string[] = [];
    const long = withMutex(holder, { name: 'test', expiryMs: 300 }, async () => {
      await sleep(1000);
      order.push('long');
    });
    await sleep(150);
    await withMutex(other, { name: 'test', expiryMs: 300 }, () => Promise.resolve(order.push('other')));
    await long;
    expect(order).toEqual(['long', 'other']);
  });

  test('is given up with an error when it does not become free in time', async () => {
    const [holder, other] = (await newDatabase(2)) as [Store, Store];
    const long = withMutex(holder, { name: 'test' }, () => sleep(500));
    await sleep(100);
    const wait = withMutex(other, { name: 'test', waitMs: 100 }, () => Promise.resolve());
    await expect(wait).rejects.toMatchObject({ code: 'store_unavailable' });
    await long;
  });
});
