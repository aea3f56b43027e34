/**
 * A mutex for programs that share one ClickHouse, built on the one thing that is atomic there: CREATE TABLE without
 * IF NOT EXISTS succeeds once. Owner and expiry stand in the table's comment. An expired mutex is taken over by
 * renaming it to a name made of its own contents: of all who try, one succeeds, and none can hit a newer mutex.
 * Coarse work only (migrations, the registry of sources, a replacement of stored rows).
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../errors.ts';
import type { Store } from './clickhouse-client.ts';
import { clickhouseCode } from './store-errors.ts';

export interface MutexOptions {
  /** Lower-case letters and underscores. */
  readonly name: string;
  /** How long a holder that died blocks the others; a holder that lives renews it. Default 10 s. */
  readonly expiryMs?: number;
  /** How long to wait for another holder; default 60 s. */
  readonly waitMs?: number;
}

const TABLE_ALREADY_EXISTS = 57;
const UNKNOWN_TABLE = 60;
/** The table was renamed or dropped while its comment was being written. */
const ATOMIC_RENAME_FAIL = 521;
const POLL_MS = 50;
const DEFAULT_EXPIRY_MS = 10_000;
const DEFAULT_WAIT_MS = 60_000;

interface Claim {
  readonly token: string;
  readonly expiryMs: number;
}

interface Holder {
  readonly token: string;
  readonly isExpired: boolean;
}

/** True when the statement ran, false when it failed with one of `codes`: somebody else was faster. */
async function tryCommand(store: Store, sql: string, codes: readonly number[]): Promise<boolean> {
  try {
    await store.command(sql);
    return true;
  } catch (error) {
    if (codes.includes(clickhouseCode(error) ?? 0)) return false;
    throw error;
  }
}

/** Expiry as the server's clock sees it: the clocks of the programs may differ. */
async function readServerMs(store: Store): Promise<number> {
  const [row] = await store.query<{ ms: number }>('SELECT toUnixTimestamp64Milli(now64(3)) AS ms');
  return row?.ms ?? 0;
}

async function readHolder(store: Store, table: string): Promise<Holder | undefined> {
  const [row] = await store.query<{ comment: string; ms: number }>(
    `SELECT comment, toUnixTimestamp64Milli(now64(3)) AS ms FROM system.tables
     WHERE database = currentDatabase() AND name = {table:String}`,
    { table },
  );
  if (row === undefined) return undefined;
  const [token = '', expiry = '0'] = row.comment.split(' ');
  return { token, isExpired: Number(expiry) < row.ms };
}

async function acquire(
  store: Store,
  table: string,
  options: Required<Omit<MutexOptions, 'name'>>,
): Promise<string> {
  const deadline = performance.now() + options.waitMs;
  const token = randomUUID().replaceAll('-', '');
  for (;;) {
    const expiry = (await readServerMs(store)) + options.expiryMs;
    const create = `CREATE TABLE ${table} (nothing UInt8) ENGINE = Null COMMENT '${token} ${expiry}'`;
    if (await tryCommand(store, create, [TABLE_ALREADY_EXISTS])) return token;
    const holder = await readHolder(store, table);
    if (holder?.isExpired === true) await bury(store, table, holder.token);
    else if (performance.now() > deadline) {
      throw new MillraceError(
        'store_unavailable',
        `Another program has held ${table} for more than ${options.waitMs} ms.`,
      );
    } else await sleep(POLL_MS);
  }
}

/** Takes the mutex from the holder with `token`, and only from that one, however late this runs. */
async function bury(store: Store, table: string, token: string): Promise<void> {
  await tryCommand(store, `RENAME TABLE ${table} TO ${table}_${token}`, [
    TABLE_ALREADY_EXISTS,
    UNKNOWN_TABLE,
  ]);
}

/** Graves make a second burial of the same holder fail; after an hour nobody can be that late any more. */
async function clearGraves(store: Store, table: string): Promise<void> {
  const graves = await store.query<{ name: string }>(
    `SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, {prefix:String})
     AND engine = 'Null' AND metadata_modification_time < now() - INTERVAL 1 HOUR`,
    { prefix: `${table}_` },
  );
  for (const { name } of graves) await store.command(`DROP TABLE IF EXISTS ${name} SYNC`);
}

async function renew(store: Store, table: string, mine: Claim): Promise<void> {
  const { token, expiryMs } = mine;
  const holder = await readHolder(store, table);
  if (holder?.token !== token) return;
  const expiry = (await readServerMs(store)) + expiryMs;
  await tryCommand(store, `ALTER TABLE ${table} MODIFY COMMENT '${token} ${expiry}'`, [
    UNKNOWN_TABLE,
    ATOMIC_RENAME_FAIL,
  ]);
}

/** Whether somebody holds the mutex of that name now. */
export async function isMutexHeld(store: Store, name: string): Promise<boolean> {
  const holder = await readHolder(store, `mutex_${name}`);
  return holder !== undefined && !holder.isExpired;
}

/**
 * Runs `action` while nobody else runs one under the same name on this database; the others wait.
 * Throws what `action` throws, or `store_unavailable` when the mutex was not free in time.
 */
export async function withMutex<T>(
  store: Store,
  options: MutexOptions,
  action: () => Promise<T>,
): Promise<T> {
  const { expiryMs = DEFAULT_EXPIRY_MS, waitMs = DEFAULT_WAIT_MS } = options;
  const table = `mutex_${options.name}`;
  const token = await acquire(store, table, { expiryMs, waitMs });
  // A renewal that fails is made up for by the next one, or the mutex expires as for a dead holder.
  const timer = setInterval(
    () => void renew(store, table, { token, expiryMs }).catch(() => undefined),
    expiryMs / 3,
  );
  try {
    await clearGraves(store, table);
    return await action();
  } finally {
    clearInterval(timer);
    await bury(store, table, token);
  }
}
