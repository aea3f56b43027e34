/**
 * Applies `clickhouse/NNN-name.sql`: forward only, each once, recorded with its checksum in table `migrations`.
 * Several programs may start together: one applies, the others wait. Statements are written so that running them
 * twice changes nothing (IF NOT EXISTS), since a program may die between a statement and the record.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError, quoteValue } from '../errors.ts';
import { PACKAGE_ROOT } from '../package-info.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Store } from './clickhouse-client.ts';
import { withMutex } from './mutex.ts';
import { splitStatements } from './sql-statements.ts';

export interface Migration {
  readonly number: number;
  readonly name: string;
  /** SHA-256 of the file in hexadecimal. */
  readonly checksum: string;
  readonly statements: readonly string[];
}

export interface MigrateOptions {
  readonly telemetry: Telemetry;
  /** Folder of the SQL files; the package's own unless given. */
  readonly folder?: string;
}

interface AppliedMigration {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
}

const FILE_NAME = /^(\d{3})-([a-z0-9-]+)\.sql$/;

const CREATE_MIGRATIONS = `CREATE TABLE IF NOT EXISTS migrations
(
    number UInt16,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree ORDER BY number`;

function conflict(text: string): MillraceError {
  return new MillraceError('migration_conflict', text);
}

/** The files of `folder` in order. Throws `migration_conflict` when a number is there twice or a name is wrong. */
export async function readMigrations(folder = join(PACKAGE_ROOT, 'clickhouse')): Promise<Migration[]> {
  const migrations: Migration[] = [];
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).toSorted();
  for (const file of files) {
    const [, digits, name] = FILE_NAME.exec(file) ?? [];
    if (digits === undefined || name === undefined)
      throw conflict(`${quoteValue(file)} is not named NNN-name.sql.`);
    const number = Number(digits);
    if (migrations.at(-1)?.number === number) throw conflict(`There are two migrations ${digits}.`);
    const sql = (await readFile(join(folder, file), 'utf8')).replaceAll('\r\n', '\n');
    const checksum = createHash('sha256').update(sql).digest('hex');
    migrations.push({ number, name, checksum, statements: splitStatements(sql) });
  }
  return migrations;
}

/** What is still to be applied; throws when what was applied is not what the files say. */
async function findPending(store: Store, migrations: readonly Migration[]): Promise<Migration[]> {
  const rows = await store.query<AppliedMigration>('SELECT number, name, checksum FROM migrations');
  const applied = new Map(rows.map((row) => [row.number, row]));
  for (const row of rows) {
    const file = migrations.find(({ number }) => number === row.number);
    const label = `${String(row.number).padStart(3, '0')}-${row.name}`;
    if (file === undefined) {
      throw conflict(
        `Database ${store.database} has migration ${label}, which this version does not know; use a newer one.`,
      );
    }
    if (file.checksum !== row.checksum || file.name !== row.name) {
      throw conflict(
        `Migration ${label} was altered after it was applied to database ${store.database}; restore the file and add a new one.`,
      );
    }
  }
  return migrations.filter(({ number }) => !applied.has(number));
}

/** Applies what is pending and returns it. Throws `migration_conflict`, or what ClickHouse answered. */
export async function migrate(store: Store, options: MigrateOptions): Promise<Migration[]> {
  const migrations = await readMigrations(options.folder);
  await store.command(CREATE_MIGRATIONS);
  if ((await findPending(store, migrations)).length === 0) return [];
  return await withMutex(store, { name: 'migrations' }, async () => {
    const pending = await findPending(store, migrations);
    for (const migration of pending) {
      for (const statement of migration.statements) await store.command(statement);
      const { number, name, checksum } = migration;
      await store.insertJson('migrations', [{ number, name, checksum }]);
      options.telemetry.emit('migration_applied', { number, name });
    }
    return pending;
  });
}
