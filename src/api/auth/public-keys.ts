/**
 * Table `auth_keys`: the public keys of every program on this database, so that each accepts the tokens of all.
 */
import type { QueryPort } from '../../pipeline/query-port.ts';
import { toVerifyingKey, type VerifyingKey } from './verifying-key.ts';

export interface PublishedKey {
  readonly key: VerifyingKey;
  /** Milliseconds since the epoch. */
  readonly expiresMs: number;
}

interface KeyRow {
  readonly id: string;
  readonly x: string;
  readonly expires_ms: number;
}

interface ReadOptions {
  readonly nowMs: number;
  /** Ids. */
  readonly asked: readonly string[];
  readonly signal: AbortSignal;
}

export const MAX_KEYS = 64;
/** In a millisecond: versions are microseconds since the epoch. */
const MICROSECONDS = 1000;
/** `expires_at` of a row that revokes. */
const REVOKED_MS = 0;
const WRITE_TIMEOUT_MS = 5000;

/** A key that was revoked once stays so, whatever its owner publishes afterwards. */
const SELECT_KEYS = `
SELECT id, argMax(k.x, k.version) AS x, toUnixTimestamp64Milli(argMax(k.expires_at, k.version)) AS expires_ms
FROM auth_keys AS k
GROUP BY id
HAVING expires_ms > {now_ms:Int64} AND min(k.expires_at) > toDateTime64(0, 3, 'UTC')
ORDER BY has({asked:Array(String)}, id) DESC, expires_ms DESC
LIMIT {limit:UInt32}`;

/** Those that have not expired, by id; when there are too many, the `asked` ones and those that last longest. */
export async function readPublicKeys(
  store: QueryPort,
  { nowMs, asked, signal }: ReadOptions,
): Promise<Map<string, PublishedKey>> {
  const params = { now_ms: nowMs, asked, limit: MAX_KEYS + asked.length };
  const rows = await store.query<KeyRow>(SELECT_KEYS, params, { signal });
  const keys = new Map<string, PublishedKey>();
  for (const { id, x, expires_ms: expiresMs } of rows) {
    const key = readKey(x);
    if (key?.id === id) keys.set(id, { key, expiresMs });
  }
  return keys;
}

/** Resolves when every program that reads from now on finds the key good until `expiresMs`. */
export async function publishKey(
  store: QueryPort,
  key: VerifyingKey,
  { nowMs, expiresMs }: { readonly nowMs: number; readonly expiresMs: number },
): Promise<void> {
  await write(store, key, { version: nowMs * MICROSECONDS, expiresMs });
}

/** Final. Resolves when no program that reads from now on accepts the key; those that have it read within a minute. */
export async function revokeKey(store: QueryPort, key: VerifyingKey, nowMs: number): Promise<void> {
  await write(store, key, { version: nowMs * MICROSECONDS, expiresMs: REVOKED_MS });
}

async function write(
  store: QueryPort,
  { id, x }: VerifyingKey,
  { version, expiresMs }: { readonly version: number; readonly expiresMs: number },
): Promise<void> {
  const row = { id, x, version, expires_at: new Date(expiresMs).toISOString() };
  await store.insertJson('auth_keys', [row], { signal: AbortSignal.timeout(WRITE_TIMEOUT_MS) });
}

/** What another program wrote there must not keep the other keys from being read. */
function readKey(x: string): VerifyingKey | undefined {
  try {
    return toVerifyingKey(x);
  } catch {
    return undefined;
  }
}
