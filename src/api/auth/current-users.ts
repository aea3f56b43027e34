/**
 * Whether a token still says the truth about its user, and what the user may see: a changed password, role or scope
 * and a disabled user end access tokens before they expire.
 */
import { errorMessage } from '../../errors.ts';
import type { Telemetry } from '../../telemetry.ts';
import { type Scope, UNSCOPED } from '../scope.ts';
import { FreshRows } from './fresh-rows.ts';
import { type AccessClaims, isLocal } from './tokens.ts';
import type { User, Users } from './users.ts';

export interface CurrentUsersPorts {
  readonly users: Pick<Users, 'list'>;
  readonly telemetry: Telemetry;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A user that is not known here may be new; how often that is looked up. */
const UNKNOWN_GAP_MS = 1000;

/** Holds one entry for each user, whom only an admin adds. */
export class CurrentUsers {
  readonly #rows: FreshRows<User>;

  constructor({ users, telemetry, now }: CurrentUsersPorts) {
    this.#rows = new FreshRows({
      read: async (signal) => new Map((await users.list({ signal })).map((user) => [user.name, user])),
      onFailure: (error) => telemetry.emit('users_unreadable', { error: errorMessage(error) }),
      now,
    });
  }

  /** A user as just read or written, for whom a token is issued or who was changed. */
  learn(user: User): void {
    this.#rows.learn(user.name, user);
  }

  /** Scope of the user the token is for, undefined when it does not stand any more; `store_unavailable` when unknown. */
  async scopeOf(claims: AccessClaims): Promise<Scope | undefined> {
    if (isLocal(claims)) return UNSCOPED;
    const { username, role, version } = claims;
    let user = await this.#rows.get(username);
    if (user === undefined) user = await this.#rows.getAnew(username, UNKNOWN_GAP_MS);
    // The token was issued by another instance, after what is known here: only the row tells the scope.
    else if (version > user.version) user = await this.#rows.getAnew(username, 0);
    const isCurrent = user?.version === version && user.role === role && !user.isDisabled;
    return isCurrent ? user?.scope : undefined;
  }
}
