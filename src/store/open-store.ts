/**
 * Opens the store that a program works with: the embedded ClickHouse of its data directory, or the server behind
 * CLICKHOUSE_URL. Either way the caller gets the same client on a migrated database.
 */
import { resolve } from 'node:path';
import { MillraceError, quoteValue } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import { createStore, type Store, type StoreOptions } from './clickhouse-client.ts';
import { EmbeddedServer } from './embedded/embedded-server.ts';
import { MergeGuard } from './embedded/merge-guard.ts';
import { PartCheck } from './embedded/part-check.ts';
import { KEY_HEADER } from './embedded/server-process.ts';
import { repairParts } from './index-repair.ts';
import { migrate } from './migrations.ts';
import { readRunFile, removeRunFile, writeRunFile } from './run-file.ts';
import { applyTableSettings } from './table-settings.ts';

export interface OpenStoreOptions {
  readonly dataDir: string;
  readonly telemetry: Telemetry;
  /** Database name; letters, digits and underscores. */
  readonly database: string;
  /** CLICKHOUSE_URL; absent: the embedded server. */
  readonly url?: string;
  readonly user?: string;
  readonly password?: string;
  /**
   * CLICKHOUSE_FSYNC: an insert is on disk, not only in the system's cache, before it is acknowledged. Absent, as the
   * program that stored last had it.
   */
  readonly isFsync?: boolean;
  readonly requestTimeoutMs?: number;
}

export interface OpenedStore {
  readonly store: Store;
  /** How another thread of this program makes a client of its own. */
  readonly connection: StoreOptions;
  /** Why the embedded server does not run, empty when it does and with an external one. */
  readonly problem: () => string;
  /** Brings back a part that cannot be read, where that is possible. */
  readonly restorePart: (part: string) => void;
  /** Adds the API's address to run.json. */
  readonly announceApi: (apiUrl: string) => Promise<void>;
  close(): Promise<void>;
}

const DATABASE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/** Creates the database if need be, applies migrations, sets table settings; the server must answer. */
async function prepare(connection: StoreOptions, options: OpenStoreOptions): Promise<Store> {
  if (!DATABASE_NAME.test(options.database)) {
    throw new MillraceError(
      'config_invalid',
      `CLICKHOUSE_DATABASE must be a name of letters, digits and underscores, got ${quoteValue(options.database)}.`,
    );
  }
  const setup = createStore({ ...connection, database: 'default' });
  try {
    const known = 'SELECT name FROM system.databases WHERE name = {name:String}';
    const rows = await setup.query(known, { name: options.database });
    // Asked first: a user of an external server may have a database but not the right to create one.
    if (rows.length === 0) await setup.command(`CREATE DATABASE IF NOT EXISTS ${options.database}`);
  } finally {
    await setup.close();
  }
  const store = createStore(connection);
  repairParts(store, options.telemetry, () => {});
  try {
    await migrate(store, { telemetry: options.telemetry });
    await applyTableSettings(store, { isFsync: options.isFsync });
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

function clientOptions(options: OpenStoreOptions, url: string): StoreOptions {
  return {
    url,
    database: options.database,
    ...(options.requestTimeoutMs !== undefined && { requestTimeoutMs: options.requestTimeoutMs }),
  };
}

async function openExternal(options: OpenStoreOptions, url: string): Promise<OpenedStore> {
  const connection: StoreOptions = {
    ...clientOptions(options, url),
    ...(options.user !== undefined && { user: options.user }),
    ...(options.password !== undefined && { password: options.password }),
  };
  const store = await prepare(connection, options);
  return {
    store,
    connection,
    restorePart: () => {},
    problem: () => '',
    announceApi: async () => {},
    close: async () => await store.close(),
  };
}

async function openEmbedded(options: OpenStoreOptions): Promise<OpenedStore> {
  const server = new EmbeddedServer({ dataDir: options.dataDir, telemetry: options.telemetry });
  await server.start();
  const opened: (() => Promise<void> | void)[] = [() => server.stop()];
  try {
    const connection = { ...clientOptions(options, server.url), headers: server.headers };
    const store = await prepare(connection, options);
    opened.unshift(() => store.close());
    const clickhouse = { port: server.port, header: KEY_HEADER, key: server.headers[KEY_HEADER] ?? '' };
    const { dataDir, telemetry } = options;
    const parts = new PartCheck({ store, telemetry, restart: () => server.restart() });
    const restorePart = (part: string): void => parts.met(part);
    repairParts(store, telemetry, restorePart);
    const merges = new MergeGuard({ dataDir, store, telemetry, parts, pid: () => server.pid });
    merges.start();
    opened.unshift(() => merges.stop());
    await writeRunFile(dataDir, { clickhouse });
    return {
      store,
      connection,
      restorePart,
      problem: () => server.lastProblem,
      announceApi: async (apiUrl) => await writeRunFile(dataDir, { clickhouse, apiUrl }),
      close: async () => {
        await removeRunFile(dataDir);
        for (const close of opened) await close();
      },
    };
  } catch (error) {
    for (const close of opened) await close();
    throw error;
  }
}

/** The store of a program that is to own it: throws `data_dir_in_use` when another one does. */
export async function openStore(options: OpenStoreOptions): Promise<OpenedStore> {
  return options.url === undefined ? await openEmbedded(options) : await openExternal(options, options.url);
}

/**
 * The store for a command: of the program that runs on the data directory, or, when none runs, opened as
 * `openStore` does and ended by `close()`.
 */
export async function openRunning(options: OpenStoreOptions): Promise<OpenedStore> {
  const running = options.url === undefined ? await readRunFile(resolve(options.dataDir)) : undefined;
  if (running === undefined) return await openStore(options);
  const { port, header, key } = running.clickhouse;
  const connection = { ...clientOptions(options, `http://127.0.0.1:${port}`), headers: { [header]: key } };
  const store = createStore(connection);
  return {
    store,
    connection,
    restorePart: () => {},
    problem: () => '',
    announceApi: async () => {},
    close: async () => await store.close(),
  };
}
