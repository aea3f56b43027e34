/**
 * The users: adding, changing, verifying. Used by the API and by the commands `user …`.
 */
import { MillraceError, quoteValue } from '../../errors.ts';
import type { QueryOptions, QueryPort } from '../../pipeline/query-port.ts';
import { ROLES, type Role } from '../route.ts';
import { type Scope, UNSCOPED } from '../scope.ts';
import { Turns } from '../turns.ts';
import type { VersionRange } from '../version-history.ts';
import { checkGrant, formatGrants, parseGrants } from './grants.ts';
import { checkPassword, newRandomPassword, PasswordHasher } from './passwords.ts';

import {
  toUser,
  type User,
  type UserRange,
  type UserRow,
  UserTable,
  type UserVersion,
  type WrittenUser,
} from './user-table.ts';

export type { User } from './user-table.ts';

export interface NewUser {
  readonly name: string;
  readonly password: string;
  readonly role: Role;
  /** Default: all. */
  readonly scope?: Scope | undefined;
}

/** What is absent stays as it is. */
export interface UserChange {
  readonly role?: Role | undefined;
  readonly scope?: Scope | undefined;
  readonly password?: string | undefined;
  readonly isDisabled?: boolean | undefined;
}

export interface Changing {
  readonly changedBy: string;
  /** Sees what is about to be changed, and throws to stop it. */
  readonly check?: (user: User) => void;
}

export interface Users {
  /** `already_exists` when the name is taken; `unprocessable` when name, password, role or scope are not possible. */
  add(user: NewUser, changedBy: string): Promise<User>;
  /** All users, or those of a range, in the order of their names. */
  list(options?: QueryOptions, range?: UserRange): Promise<User[]>;
  find(name: string): Promise<User | undefined>;
  /**
   * `not_found` without such a user, `unprocessable` when nobody could manage users any more, or when only role or
   * scope is given and the other is not known. Ends the tokens of the
   * user, access tokens within about ten seconds.
   */
  change(name: string, change: UserChange, changing: Changing): Promise<User>;
  /** `change` of the password alone. */
  setPassword(name: string, password: string, changedBy: string): Promise<void>;
  /** Errors as of `change`. */
  remove(name: string, changing: Changing): Promise<User>;
  /** Newest first; empty when there never was such a user. */
  history(name: string, range: VersionRange): Promise<UserVersion[]>;
  /** The user when name and password fit and the user is not disabled. */
  verify(name: string, password: string): Promise<User | undefined>;
  /**
   * Makes `admin` when there is no user at all. Returns the password if it had to be made up: it is kept nowhere,
   * so whoever calls must show it once.
   */
  ensureAdmin(password?: string): Promise<string | undefined>;
}

const NAME = /^[\w.@-]{1,64}$/;
const ADMIN = 'admin';

export function createUsers(store: QueryPort): Users {
  return new TableUsers(new UserTable(store));
}

/** Adds and finds users, and changes each one step after the other; no state but the table's. */
class TableUsers implements Users {
  readonly #table: UserTable;
  readonly #hasher = new PasswordHasher();
  readonly #turns = new Turns();

  constructor(table: UserTable) {
    this.#table = table;
  }

  async add(user: NewUser, changedBy: string): Promise<User> {
    const { name, password, role, scope = UNSCOPED } = user;
    checkName(name);
    checkRole(role);
    checkGrant({ role, scope });
    checkPassword(password);
    const password_hash = await this.#hasher.hash(password);
    const granted = { name, password_hash, grants: formatGrants({ role, scope }) };
    return await this.#turns.run(name, async () => {
      const before = await this.#table.find(name);
      if (before?.is_removed === false) {
        throw new MillraceError('already_exists', `There is a user ${quoteValue(name)} already.`);
      }
      const row = { ...granted, is_disabled: false, is_removed: false };
      return await this.#table.write(row, before?.version ?? 0, changedBy);
    });
  }

  list(options?: QueryOptions, range?: UserRange): Promise<User[]> {
    return this.#table.list(options, range);
  }

  async find(name: string): Promise<User | undefined> {
    const row = await this.#table.find(name);
    return row === undefined || row.is_removed ? undefined : toUser(row);
  }

  async change(name: string, change: UserChange, changing: Changing): Promise<User> {
    const { role, scope, password, isDisabled } = change;
    if (role !== undefined) checkRole(role);
    if (password !== undefined) checkPassword(password);
    // Takes long, so before the row is read.
    const hash = password === undefined ? undefined : await this.#hasher.hash(password);
    return await this.#replace(name, changing, (row) => {
      const isGranted = role !== undefined || scope !== undefined;
      return {
        ...row,
        grants: isGranted ? changedGrants(row.grants, { role, scope }) : row.grants,
        password_hash: hash ?? row.password_hash,
        is_disabled: isDisabled ?? row.is_disabled,
      };
    });
  }

  async setPassword(name: string, password: string, changedBy: string): Promise<void> {
    await this.change(name, { password }, { changedBy });
  }

  /** The hash goes too: what is left is who the user was. */
  remove(name: string, changing: Changing): Promise<User> {
    return this.#replace(name, changing, (row) => ({ ...row, password_hash: '', is_removed: true }));
  }

  history(name: string, range: VersionRange): Promise<UserVersion[]> {
    return this.#table.history(name, range);
  }

  async verify(name: string, password: string): Promise<User | undefined> {
    const row = NAME.test(name) ? await this.#table.find(name) : undefined;
    const hash = row?.is_removed === true ? undefined : row?.password_hash;
    const isRight = await this.#hasher.verify(hash, password);
    const user = isRight && row !== undefined ? toUser(row) : undefined;
    return user?.isDisabled === true ? undefined : user;
  }

  async ensureAdmin(password?: string): Promise<string | undefined> {
    const users = await this.list();
    if (users.length > 0) return undefined;
    const chosen = password ?? newRandomPassword();
    try {
      await this.add({ name: ADMIN, password: chosen, role: 'admin' }, 'first start');
    } catch (error) {
      // Another program of the same first start was faster, and shows its password.
      if (error instanceof MillraceError && error.code === 'already_exists') return undefined;
      throw error;
    }
    return password === undefined ? chosen : undefined;
  }

  #replace(name: string, changing: Changing, make: (row: UserRow) => WrittenUser): Promise<User> {
    return this.#turns.run(name, async () => {
      const row = await this.#table.find(name);
      if (row === undefined || row.is_removed) throw noUser(name);
      changing.check?.(toUser(row));
      return await this.#write(row, make(row), changing.changedBy);
    });
  }

  async #write(row: UserRow, next: WrittenUser, changedBy: string): Promise<User> {
    const { name } = row;
    const endsAdmin = isActiveAdmin(toUser(row)) && !isActiveAdmin(toUser({ ...row, ...next }));
    if (endsAdmin && !(await this.#hasOtherAdmin(name))) throw lastAdmin();
    const after = await this.#table.change(row, next, changedBy);
    // Another admin may have been ended at the same time, elsewhere: then both are taken back.
    if (endsAdmin && !(await this.#hasOtherAdmin(name))) {
      await this.#table.write(row, after.version, changedBy);
      throw lastAdmin();
    }
    if (after.isRemoved && !next.is_removed) throw noUser(name);
    return after;
  }

  /** Whether somebody but `name` may manage users. */
  async #hasOtherAdmin(name: string): Promise<boolean> {
    return (await this.list()).some((user) => user.name !== name && isActiveAdmin(user));
  }
}

function changedGrants(before: string, { role, scope }: Pick<UserChange, 'role' | 'scope'>): string {
  const grant = parseGrants(before);
  const next = { role: role ?? grant?.role, scope: scope ?? grant?.scope };
  if (next.role === undefined || next.scope === undefined) {
    throw new MillraceError(
      'unprocessable',
      'What the user may do now is not understood: give both role and scope.',
    );
  }
  const changed = { role: next.role, scope: next.scope };
  checkGrant(changed);
  return formatGrants(changed);
}

function isActiveAdmin({ role, isDisabled }: User): boolean {
  return role === 'admin' && !isDisabled;
}

function noUser(name: string): MillraceError {
  return new MillraceError('not_found', `There is no user ${quoteValue(name)}.`);
}

function lastAdmin(): MillraceError {
  return new MillraceError('unprocessable', 'This is the last admin: nobody could manage users any more.');
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
