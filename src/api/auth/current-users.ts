/**
 * Whether a token still says the truth about its user: a changed password or role and a disabled user end access
 * tokens before they expire. The users are kept as read last, so that requests do not query for themselves.
 */
import { errorMessage } from '../../errors.ts';
import type { Telemetry } from '../../telemetry.ts';
import { type AccessClaims, LOCAL_SUBJECT } from './tokens.ts';
import type { User, Users } from './users.ts';

export interface CurrentUsersPorts {
  readonly users: Pick<Users, 'list'>;
  readonly telemetry: Telemetry;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** From this age on the users are read again, while requests go on with what is there. */
const REFRESH_AFTER_MS = 4000;
/** From this age on a request waits for that. */
const MAX_AGE_MS = 8000;
/** A read that takes longer has failed; with the age above it stays within ten seconds. */
const READ_TIMEOUT_MS = 2000;
/** Between two reads when the first failed. */
const RETRY_MS = 4000;

/**
 * Holds one entry for each row of table `users`, which only an operator's command adds to: no request makes it
 * grow. At most one read is under way. While ClickHouse cannot be asked the last answer counts; before the first
 * answer that is the token itself, whose claims were read when it was issued.
 */
export class CurrentUsers {
  readonly #ports: CurrentUsersPorts;
  #byName = new Map<string, User>();
  /** Users that logged in since the last read began: what it gives may be older. */
  #learned = new Map<string, User>();
  #isLoaded = false;
  #loadedMs = Number.NEGATIVE_INFINITY;
  #triedMs = Number.NEGATIVE_INFINITY;
  #refreshing: Promise<void> | undefined;

  constructor(ports: CurrentUsersPorts) {
    this.#ports = ports;
  }

  /** A user as just read from the table, for whom a token is issued. */
  learn(user: User): void {
    this.#learned.set(user.name, user);
    this.#byName.set(user.name, user);
  }

  /** Never rejects. */
  async accepts({ username, role, version }: AccessClaims): Promise<boolean> {
    // Whoever holds the signing key made it, for a user that has no row.
    if (username === LOCAL_SUBJECT.username && version === LOCAL_SUBJECT.version) return true;
    await this.#refresh();
    if (!this.#isLoaded) return true;
    const user = this.#byName.get(username);
    if (user === undefined) return false;
    // A higher version was read from a row that is newer than the last read.
    if (version !== user.version) return version > user.version;
    return role === user.role && !user.isDisabled;
  }

  async #refresh(): Promise<void> {
    const nowMs = this.#ports.now();
    const ageMs = distance(nowMs, this.#loadedMs);
    if (ageMs < REFRESH_AFTER_MS) return;
    if (this.#refreshing === undefined) {
      if (distance(nowMs, this.#triedMs) < RETRY_MS) return;
      this.#triedMs = nowMs;
      this.#refreshing = this.#load(nowMs);
    }
    if (ageMs >= MAX_AGE_MS) await this.#refreshing;
  }

  async #load(startedMs: number): Promise<void> {
    this.#learned = new Map();
    try {
      const users = await this.#ports.users.list({ signal: AbortSignal.timeout(READ_TIMEOUT_MS) });
      this.#byName = new Map(users.map((user) => [user.name, user]));
      for (const [name, user] of this.#learned) {
        if (user.version > (this.#byName.get(name)?.version ?? 0)) this.#byName.set(name, user);
      }
      this.#isLoaded = true;
      this.#loadedMs = startedMs;
    } catch (error) {
      this.#ports.telemetry.emit('users_unreadable', { error: errorMessage(error) });
    } finally {
      this.#refreshing = undefined;
    }
  }
}

/** A clock that was set back must not make old answers look fresh. */
function distance(aMs: number, bMs: number): number {
  return Math.abs(aMs - bMs);
}
