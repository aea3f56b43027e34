/**
 * API keys as rows of table `api_keys`: append-only, the highest version of an id counts. Only hashes are kept.
 */
import { MillraceError, quoteValue } from '../../errors.ts';
import type { QueryOptions, QueryPort } from '../../pipeline/query-port.ts';
import { checkGrant, formatGrants, type Grant, parseGrants } from '../auth/grants.ts';
import { MAX_JOINED, writeJoined } from '../joined-change.ts';
import type { Role } from '../route.ts';
import { type Scope, scopeText, UNSCOPED } from '../scope.ts';
import { formatTime, toSqlTime } from '../time-input.ts';
import { Turns } from '../turns.ts';
import { type VersionRange, versionParams } from '../version-history.ts';
import { nextVersion } from '../versioned.ts';
import { type NewKeyText, newKeyText } from './key-text.ts';

export interface ApiKey extends Grant {
  readonly id: string;
  /** What it is for, in the words of who made it. */
  readonly name: string;
  /** Of the whole key, hexadecimal. */
  readonly hash: string;
  readonly isRevoked: boolean;
  /** Milliseconds since the epoch. */
  readonly expiresMs: number | undefined;
  readonly version: number;
  /** RFC 3339. */
  readonly changedAt: string;
  readonly changedBy: string;
}

export interface NewApiKey extends Grant {
  readonly name: string;
  readonly expiresMs?: number | undefined;
}

/** What is absent stays as it is; `expiresMs: null` takes the end away. */
export interface ApiKeyChange {
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
  readonly scope?: Scope | undefined;
  readonly expiresMs?: number | null | undefined;
  readonly isRevoked?: true;
}

export interface ChangingKey {
  readonly changedBy: string;
  /** Sees what is about to be changed, and throws to stop it. */
  readonly check?: (key: ApiKey) => void;
}

export interface KeyRange {
  /** Ids behind this one. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** What changes write. */
type WrittenKey = Pick<ApiKey, 'name' | 'role' | 'scope' | 'expiresMs' | 'isRevoked'>;

interface KeyRow {
  readonly id: string;
  readonly version: number;
  readonly name: string;
  readonly key_hash: string;
  readonly grants: string;
  readonly is_revoked: boolean;
  readonly expires_ms: number | null;
  readonly changed_by: string;
  readonly changed_ms: number;
}

const MAX_KEYS = 10_000;
/** Ids are random: two that are the same are made again. */
const MAX_ATTEMPTS = 3;

const SELECT_KEYS = `
SELECT id,
    max(k.version) AS version,
    argMax(k.name, k.version) AS name,
    argMax(k.key_hash, k.version) AS key_hash,
    argMax(k.grants, k.version) AS grants,
    -- For good, whoever else changed the key at the same time.
    max(k.is_revoked) AS is_revoked,
    -- A tuple, because argMax passes over rows whose argument is NULL.
    toUnixTimestamp64Milli(argMax(tuple(k.expires_at), k.version).1) AS expires_ms,
    argMax(k.changed_by, k.version) AS changed_by,
    toUnixTimestamp64Milli(argMax(k.changed_at, k.version)) AS changed_ms
FROM api_keys AS k`;

const SELECT_HISTORY = `
SELECT id, version, name, '' AS key_hash, grants, is_revoked, toUnixTimestamp64Milli(expires_at) AS expires_ms,
    changed_by, toUnixTimestamp64Milli(changed_at) AS changed_ms
FROM api_keys WHERE id = {id:String} AND version < {before:UInt64} ORDER BY version DESC LIMIT {limit:UInt32}`;

const SELECT_SINCE = `
SELECT id, version, name, '' AS key_hash, grants, is_revoked, toUnixTimestamp64Milli(expires_at) AS expires_ms,
    changed_by, toUnixTimestamp64Milli(changed_at) AS changed_ms
FROM api_keys WHERE id = {id:String} AND version > {version:UInt64} ORDER BY version LIMIT {limit:UInt32}`;

const SELECT_USES = `
SELECT id, toUnixTimestamp(max(u.used_at)) * 1000 AS used_ms FROM api_key_uses AS u
WHERE id IN {ids:Array(String)} GROUP BY id`;

const NOT_EXPIRED = '(expires_ms IS NULL OR expires_ms > toUnixTimestamp64Milli(now64(3)))';

export class ApiKeyTable {
  readonly #store: QueryPort;
  readonly #turns = new Turns();

  constructor(store: QueryPort) {
    this.#store = store;
  }

  /** The key, and its text, which is kept nowhere. `unprocessable` for a grant that cannot be, and at 10,000 keys. */
  async add(
    { name, role, scope, expiresMs }: NewApiKey,
    changedBy: string,
  ): Promise<{ readonly key: ApiKey; readonly text: string }> {
    checkKeyGrant({ role, scope });
    if ((await this.listActive()).length >= MAX_KEYS) {
      throw new MillraceError('unprocessable', `There are ${MAX_KEYS} keys: revoke some first.`);
    }
    const { id, text, hash } = await this.#newId();
    const granted = { id, name, hash, role, scope, expiresMs };
    const key = await this.#write({ ...granted, isRevoked: false, changedBy }, 0);
    return { key, text };
  }

  /** The keys that may be used, at most 10,000. */
  async listActive(options?: QueryOptions): Promise<ApiKey[]> {
    const sql = `${SELECT_KEYS} GROUP BY id HAVING NOT is_revoked AND ${NOT_EXPIRED} ORDER BY id LIMIT ${MAX_KEYS}`;
    return (await this.#store.query<KeyRow>(sql, {}, options)).map(toKey);
  }

  /** All keys, revoked and expired ones too, in the order of their ids. */
  async page({ after = '', limit }: KeyRange): Promise<ApiKey[]> {
    const sql = `${SELECT_KEYS} WHERE id > {after:String} GROUP BY id ORDER BY id LIMIT {limit:UInt32}`;
    return (await this.#store.query<KeyRow>(sql, { after, limit })).map(toKey);
  }

  async find(id: string): Promise<ApiKey | undefined> {
    const sql = `${SELECT_KEYS} WHERE id = {id:String} GROUP BY id`;
    return (await this.#store.query<KeyRow>(sql, { id })).map(toKey)[0];
  }

  /** `not_found` without such a key, `unprocessable` when it is revoked. What others change meanwhile stays. */
  change(id: string, change: ApiKeyChange, changing: ChangingKey): Promise<ApiKey> {
    return this.#turns.run(id, () => this.#change(id, change, changing));
  }

  /** Newest first; without the hashes. */
  async history(id: string, range: VersionRange): Promise<ApiKey[]> {
    const rows = await this.#store.query<KeyRow>(SELECT_HISTORY, { id, ...versionParams(range) });
    return rows.map(toKey);
  }

  /** When keys were used last, milliseconds since the epoch, by id. */
  async lastUses(ids: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#store.query<{ id: string; used_ms: number }>(SELECT_USES, { ids });
    return new Map(rows.map(({ id, used_ms }) => [id, used_ms]));
  }

  async writeUses(uses: ReadonlyMap<string, number>): Promise<void> {
    const rows = [...uses].map(([id, usedMs]) => ({ id, used_at: Math.floor(usedMs / 1000) }));
    await this.#store.insertJson('api_key_uses', rows);
  }

  async #change(id: string, change: ApiKeyChange, { changedBy, check }: ChangingKey): Promise<ApiKey> {
    const key = await this.find(id);
    if (key === undefined) throw new MillraceError('not_found', `There is no key ${quoteValue(id)}.`);
    check?.(key);
    if (key.isRevoked) throw revoked();
    const { expiresMs, isRevoked = false } = change;
    const next = {
      ...key,
      name: change.name ?? key.name,
      role: change.role ?? key.role,
      scope: change.scope ?? key.scope,
      expiresMs: expiresMs === undefined ? key.expiresMs : (expiresMs ?? undefined),
      isRevoked,
    };
    checkKeyGrant(next);
    const after = await writeJoined<WrittenKey, ApiKey>(
      { row: key, next },
      {
        noun: 'key',
        since: (version) => this.#since(id, version),
        write: (written, before) => this.#write({ ...written, id, hash: key.hash, changedBy }, before),
        changes,
      },
    );
    // Another program revoked it meanwhile.
    if (after.isRevoked && !isRevoked) throw revoked();
    return { ...after, hash: key.hash };
  }

  async #since(id: string, version: number): Promise<ApiKey[]> {
    const rows = await this.#store.query<KeyRow>(SELECT_SINCE, { id, version, limit: MAX_JOINED });
    return rows.map(toKey);
  }

  async #write(key: Omit<ApiKey, 'version' | 'changedAt'>, before: number): Promise<ApiKey> {
    const { id, name, hash, isRevoked, expiresMs, changedBy } = key;
    const version = nextVersion(before);
    const changedMs = Date.now();
    const row = {
      id,
      version,
      name,
      key_hash: hash,
      grants: formatGrants(key),
      is_revoked: isRevoked,
      expires_at: expiresMs === undefined ? null : toSqlTime(expiresMs * 1000),
      changed_by: changedBy,
      changed_at: toSqlTime(changedMs * 1000),
    };
    await this.#store.insertJson('api_keys', [row]);
    return { ...key, version, changedAt: formatTime(changedMs * 1000) };
  }

  async #newId(): Promise<NewKeyText> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const made = newKeyText();
      if ((await this.find(made.id)) === undefined) return made;
    }
    throw new MillraceError('internal', 'No free id for a key was found.');
  }
}

/** Those fields of `to` that are not as in `from`. */
function changes(from: WrittenKey, to: WrittenKey): Partial<WrittenKey> {
  return {
    ...(to.name !== from.name && { name: to.name }),
    ...(to.role !== from.role && { role: to.role }),
    ...(scopeText(to.scope) !== scopeText(from.scope) && { scope: to.scope }),
    ...(to.expiresMs !== from.expiresMs && { expiresMs: to.expiresMs }),
    ...(to.isRevoked !== from.isRevoked && { isRevoked: to.isRevoked }),
  };
}

function revoked(): MillraceError {
  return new MillraceError('unprocessable', 'The key is revoked, which is for good.');
}

/** Keys lie in files of other programs: none of them may give itself more. */
function checkKeyGrant(grant: Grant): void {
  if (grant.role === 'admin') throw new MillraceError('unprocessable', 'A key cannot have the role admin.');
  checkGrant(grant);
}

/** A key whose grants are not understood counts as revoked. */
function toKey(row: KeyRow): ApiKey {
  const grant = parseGrants(row.grants);
  return {
    id: row.id,
    version: row.version,
    name: row.name,
    hash: row.key_hash,
    role: grant?.role ?? 'viewer',
    scope: grant?.scope ?? UNSCOPED,
    isRevoked: row.is_revoked || grant === undefined,
    expiresMs: row.expires_ms ?? undefined,
    changedAt: formatTime(row.changed_ms * 1000),
    changedBy: row.changed_by,
  };
}
