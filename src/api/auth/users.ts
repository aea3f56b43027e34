/**
 * The users, as rows of table `users`: append-only, the highest version of a name counts.
 * Used by the API and by the commands `user add|list|passwd`.
 */
import { MillraceError, quoteValue } from '../../errors.ts';
import type { QueryOptions, QueryPort } from '../../pipeline/query-port.ts';
import { ROLES, type Role } from '../route.ts';
import { checkPassword, newRandomPassword, PasswordHasher } from './passwords.ts';

export interface User {
  readonly name: string;
  readonly role: Role;
  readonly isDisabled: boolean;
  readonly version: number;
  /** RFC 3339. */
  readonly changedAt: string;
}

interface NewUser {
  readonly name: string;
  readonly password: string;
  readonly role: Role;
}

export interface Users {
  /** `unprocessable` when the name is taken, or name, password or role are not possible. */
  add(user: NewUser, changedBy: string): Promise<void>;
  list(options?: QueryOptions): Promise<User[]>;
  find(name: string): Promise<User | undefined>;
  /** `not_found` without such a user. Ends the tokens of the user, access tokens within about ten seconds. */
  setPassword(name: string, password: string, changedBy: string): Promise<void>;
  /** The user when name and password fit and the user is not disabled. */
  verify(name: string, password: string): Promise<User | undefined>;
  /**
   * Makes `admin` when there is no user at all. Returns the password if it had to be made up: it is kept nowhere,
   * so whoever calls must show it once.
   */
  ensureAdmin(password?: string): Promise<string | undefined>;
}

interface UserRow {
  readonly name: string;
  readonly version: number;
  readonly password_hash: string;
  readonly grants: string;
  readonly is_disabled: boolean;
  readonly changed_at: string;
}

const NAME = /^[\w.@-]{1,64}$/;
const ADMIN = 'admin';

/** Argument of argMax is the version alone: of two equal ones either may count, and both are whole rows. */
const SELECT_USERS = `
SELECT
    name,
    max(u.version) AS version,
    argMax(u.password_hash, u.version) AS password_hash,
    argMax(u.grants, u.version) AS grants,
    argMax(u.is_disabled, u.version) AS is_disabled,
    formatDateTime(argMax(u.changed_at, u.version), '%FT%TZ') AS changed_at
FROM users AS u`;

export function createUsers(store: QueryPort): Users {
  const hasher = new PasswordHasher();

  async function findRow(name: string): Promise<UserRow | undefined> {
    if (!NAME.test(name)) return undefined;
    const sql = `${SELECT_USERS} WHERE name = {name:String} GROUP BY name`;
    const [row] = await store.query<UserRow>(sql, { name });
    return row;
  }

  async function write(
    row: Omit<UserRow, 'version' | 'changed_at'>,
    before: number,
    by: string,
  ): Promise<void> {
    // Microseconds since the epoch, and above what is there even when a clock went back.
    const version = Math.max(Date.now() * 1000, before + 1);
    await store.insertJson('users', [{ ...row, version, changed_by: by }]);
  }

  async function add({ name, password, role }: NewUser, changedBy: string): Promise<void> {
    checkName(name);
    checkRole(role);
    checkPassword(password);
    if ((await findRow(name)) !== undefined) {
      throw new MillraceError('unprocessable', `There is a user ${quoteValue(name)} already.`);
    }
    const grants = JSON.stringify([{ role, services: [], hosts: [], environments: [] }]);
    const password_hash = await hasher.hash(password);
    await write({ name, password_hash, grants, is_disabled: false }, 0, changedBy);
  }

  async function list(options?: QueryOptions): Promise<User[]> {
    const rows = await store.query<UserRow>(`${SELECT_USERS} GROUP BY name ORDER BY name`, {}, options);
    return rows.map(toUser);
  }

  return {
    add,
    list,
    async find(name) {
      const row = await findRow(name);
      return row === undefined ? undefined : toUser(row);
    },
    async setPassword(name, password, changedBy) {
      checkPassword(password);
      const row = await findRow(name);
      if (row === undefined) throw new MillraceError('not_found', `There is no user ${quoteValue(name)}.`);
      const { version, grants, is_disabled } = row;
      const password_hash = await hasher.hash(password);
      await write({ name, password_hash, grants, is_disabled }, version, changedBy);
    },
    async verify(name, password) {
      const row = await findRow(name);
      const isRight = await hasher.verify(row?.password_hash, password);
      const user = isRight && row !== undefined ? toUser(row) : undefined;
      return user?.isDisabled === true ? undefined : user;
    },
    async ensureAdmin(password) {
      const users = await list();
      if (users.length > 0) return undefined;
      const chosen = password ?? newRandomPassword();
      await add({ name: ADMIN, password: chosen, role: 'admin' }, 'first start');
      return password === undefined ? chosen : undefined;
    },
  };
}

/** A user whose grants hold no known role may not log in. */
function toUser({ name, version, grants, is_disabled, changed_at }: UserRow): User {
  const role = roleOf(grants);
  return {
    name,
    version,
    role: role ?? 'viewer',
    isDisabled: is_disabled || role === undefined,
    changedAt: changed_at,
  };
}

/** The role of the first grant; what another program wrote there must not keep the other users from being read. */
function roleOf(grants: string): Role | undefined {
  try {
    const [first] = JSON.parse(grants) as readonly { readonly role?: string }[];
    return ROLES.find((role) => role === first?.role);
  } catch {
    return undefined;
  }
}

/** Throws `unprocessable` when nobody can have this name. */
export function checkName(name: string): void {
  if (NAME.test(name)) return;
  throw new MillraceError(
    'unprocessable',
    `A user name has 1 to 64 letters, digits and . _ @ -; got ${quoteValue(name)}.`,
  );
}

function checkRole(role: Role): void {
  if (ROLES.includes(role)) return;
  throw new MillraceError('unprocessable', `A role is one of ${ROLES.join(', ')}; got ${quoteValue(role)}.`);
}
