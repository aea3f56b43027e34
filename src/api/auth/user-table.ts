/**
 * Table `users`: append-only, the highest version of a name counts.
 */
import type { QueryOptions, QueryPort } from '../../pipeline/query-port.ts';
import { MAX_JOINED, writeJoined } from '../joined-change.ts';
import type { Role } from '../route.ts';
import { type Scope, UNSCOPED } from '../scope.ts';
import { formatTime, toSqlTime } from '../time-input.ts';
import { type VersionRange, versionParams } from '../version-history.ts';
import { nextVersion } from '../versioned.ts';
import { parseGrants } from './grants.ts';

export interface User {
  readonly name: string;
  readonly role: Role;
  readonly scope: Scope;
  readonly isDisabled: boolean;
  readonly version: number;
  /** RFC 3339. */
  readonly changedAt: string;
  readonly changedBy: string;
}

/** What a user was from one change to the next. */
export interface UserVersion extends User {
  readonly isRemoved: boolean;
}

export interface UserRange {
  /** Names behind this one, in the order of bytes. */
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface UserRow {
  readonly name: string;
  readonly version: number;
  readonly password_hash: string;
  readonly grants: string;
  readonly is_disabled: boolean;
  readonly is_removed: boolean;
  readonly changed_by: string;
  readonly changed_ms: number;
}

export type WrittenUser = Pick<UserRow, 'name' | 'password_hash' | 'grants' | 'is_disabled' | 'is_removed'>;

/** Argument of argMax is the version alone: of two equal ones either may count, and both are whole rows. */
const SELECT_USERS = `
SELECT
    name,
    max(u.version) AS version,
    argMax(u.password_hash, u.version) AS password_hash,
    argMax(u.grants, u.version) AS grants,
    argMax(u.is_disabled, u.version) AS is_disabled,
    argMax(u.is_removed, u.version) AS is_removed,
    argMax(u.changed_by, u.version) AS changed_by,
    toUnixTimestamp64Milli(argMax(u.changed_at, u.version)) AS changed_ms
FROM users AS u`;

const SELECT_HISTORY = `
SELECT name, version, '' AS password_hash, grants, is_disabled, is_removed, changed_by,
    toUnixTimestamp64Milli(changed_at) AS changed_ms
FROM users WHERE name = {name:String} AND version < {before:UInt64} ORDER BY version DESC LIMIT {limit:UInt32}`;

const SELECT_SINCE = `
SELECT name, version, password_hash, grants, is_disabled, is_removed, changed_by,
    toUnixTimestamp64Milli(changed_at) AS changed_ms
FROM users WHERE name = {name:String} AND version > {version:UInt64} ORDER BY version LIMIT {limit:UInt32}`;

export class UserTable {
  readonly #store: QueryPort;

  constructor(store: QueryPort) {
    this.#store = store;
  }

  /** Rows of removed users too. */
  async find(name: string): Promise<UserRow | undefined> {
    const sql = `${SELECT_USERS} WHERE name = {name:String} GROUP BY name`;
    const [row] = await this.#store.query<UserRow>(sql, { name });
    return row;
  }

  /** Users that are not removed: all, or those of a range, in the order of their names. */
  async list(options?: QueryOptions, { after, limit }: Partial<UserRange> = {}): Promise<User[]> {
    const where = after === undefined ? '' : 'WHERE name > {after:String}';
    const end = limit === undefined ? '' : 'LIMIT {limit:UInt32}';
    const sql = `${SELECT_USERS} ${where} GROUP BY name HAVING NOT is_removed ORDER BY name ${end}`;
    const params = { after: after ?? '', limit: limit ?? 0 };
    return (await this.#store.query<UserRow>(sql, params, options)).map(toUser);
  }

  /** Newest first. */
  async history(name: string, range: VersionRange): Promise<UserVersion[]> {
    const rows = await this.#store.query<UserRow>(SELECT_HISTORY, { name, ...versionParams(range) });
    return rows.map((row) => ({ ...toUser(row), isRemoved: row.is_removed }));
  }

  /** The user as it then is; what other programs changed since `row` was read stays. Errors as of `writeJoined`. */
  async change(row: UserRow, next: WrittenUser, changedBy: string): Promise<UserVersion> {
    const { name } = row;
    const after = await writeJoined<WrittenUser, UserRow>(
      { row, next },
      {
        noun: 'user',
        since: (version) => this.#store.query<UserRow>(SELECT_SINCE, { name, version, limit: MAX_JOINED }),
        write: (written, before) => this.#insert(written, before, changedBy),
        changes,
      },
    );
    return { ...toUser(after), isRemoved: after.is_removed };
  }

  /** Adds a version above `before`. */
  async write(written: WrittenUser, before: number, changedBy: string): Promise<User> {
    return toUser(await this.#insert(written, before, changedBy));
  }

  async #insert(written: WrittenUser, before: number, changedBy: string): Promise<UserRow> {
    const { name, password_hash, grants, is_disabled, is_removed } = written;
    const row = { name, password_hash, grants, is_disabled, is_removed, changed_by: changedBy };
    const version = nextVersion(before);
    const changedMs = Date.now();
    await this.#store.insertJson('users', [{ ...row, version, changed_at: toSqlTime(changedMs * 1000) }]);
    return { ...row, version, changed_ms: changedMs };
  }
}

/** Those fields of `to` that are not as in `from`. */
function changes(from: WrittenUser, to: WrittenUser): Partial<WrittenUser> {
  return {
    ...(to.password_hash !== from.password_hash && { password_hash: to.password_hash }),
    ...(to.grants !== from.grants && { grants: to.grants }),
    ...(to.is_disabled !== from.is_disabled && { is_disabled: to.is_disabled }),
    ...(to.is_removed !== from.is_removed && { is_removed: to.is_removed }),
  };
}

/** A user whose grants are not understood may not log in. */
export function toUser({
  name,
  version,
  grants,
  is_disabled,
  is_removed,
  changed_by,
  changed_ms,
}: UserRow): User {
  const grant = parseGrants(grants);
  return {
    name,
    version,
    role: grant?.role ?? 'viewer',
    scope: grant?.scope ?? UNSCOPED,
    isDisabled: is_disabled || is_removed || grant === undefined,
    changedAt: formatTime(changed_ms * 1000),
    changedBy: changed_by,
  };
}
