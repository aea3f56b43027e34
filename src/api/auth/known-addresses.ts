/**
 * Addresses that users have logged in from, in ClickHouse: what others do elsewhere does not slow them down there.
 */
import { errorMessage } from '../../errors.ts';
import type { QueryPort } from '../../pipeline/query-port.ts';
import type { Telemetry } from '../../telemetry.ts';
import { KeptRead } from './kept-read.ts';
import type { LoginAttempt } from './login-limiter.ts';
import { RecentSet } from './recent-set.ts';

type Place = Pick<LoginAttempt, 'username' | 'address'>;

interface AddressRow {
  readonly username: string;
  readonly address: string;
}

const MAX_PLACES = 10_000;
const MAX_PLACES_PER_USER = 16;
const REFRESH_AFTER_MS = 60_000;
const MAX_AGE_MS = 300_000;
const WRITE_TIMEOUT_MS = 2000;

/** What is older than 30 days is not read, and so is written again at the next login. */
const SELECT_ADDRESSES = `
SELECT username, address
FROM login_addresses
WHERE seen_at > now() - INTERVAL 30 DAY
GROUP BY username, address
ORDER BY max(seen_at) DESC
LIMIT {per_user:UInt16} BY username
LIMIT {limit:UInt32}`;

export class KnownAddresses {
  readonly #store: QueryPort;
  readonly #telemetry: Telemetry;
  readonly #stored: KeptRead<ReadonlySet<string>>;
  readonly #learned = new RecentSet(MAX_PLACES);

  constructor(ports: {
    readonly store: QueryPort;
    readonly telemetry: Telemetry;
    readonly now: () => number;
  }) {
    this.#store = ports.store;
    this.#telemetry = ports.telemetry;
    this.#stored = new KeptRead({
      read: (signal) => this.#read(signal),
      onFailure: (error) => this.#report(error),
      now: ports.now,
      refreshAfterMs: REFRESH_AFTER_MS,
      maxAgeMs: MAX_AGE_MS,
      // Old ones are better than none: they only slow guessing down less.
      goodForMs: Number.POSITIVE_INFINITY,
    });
  }

  /** Never rejects. */
  async has(place: Place): Promise<boolean> {
    const key = keyOf(place);
    return this.#learned.has(key) || ((await this.#stored.get())?.has(key) ?? false);
  }

  /** After a login. Never rejects: who logs in does not pay for a row that cannot be written. */
  async learn(place: Place): Promise<void> {
    if (await this.has(place)) return;
    this.#learned.add(keyOf(place));
    const { username, address } = place;
    try {
      const options = { signal: AbortSignal.timeout(WRITE_TIMEOUT_MS) };
      await this.#store.insertJson('login_addresses', [{ username, address }], options);
    } catch (error) {
      this.#report(error);
    }
  }

  async #read(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const params = { per_user: MAX_PLACES_PER_USER, limit: MAX_PLACES };
    const rows = await this.#store.query<AddressRow>(SELECT_ADDRESSES, params, { signal });
    return new Set(rows.map(keyOf));
  }

  #report(error: unknown): void {
    this.#telemetry.emit('login_addresses_unavailable', { error: errorMessage(error) });
  }
}

/** An address holds no space. */
function keyOf({ username, address }: Place): string {
  return `${address} ${username}`;
}
