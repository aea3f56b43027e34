/**
 * Sessions that ended before their tokens, and refresh tokens and tickets that were used, in ClickHouse: what one
 * program ends, all refuse within seconds.
 */
import { errorMessage } from '../../errors.ts';
import type { QueryPort } from '../../pipeline/query-port.ts';
import type { Telemetry } from '../../telemetry.ts';
import { Turns } from '../turns.ts';
import { KeptRead } from './kept-read.ts';
import { RecentSet } from './recent-set.ts';
import { ACCESS_TOKEN_SECONDS } from './token-lifetimes.ts';
import { type RefreshClaims, type TicketClaims, unauthorized } from './tokens.ts';

export interface SessionPorts {
  readonly store: QueryPort;
  readonly telemetry: Telemetry;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

interface Session {
  readonly sessionId: string;
  readonly username: string;
}

type TokenIds = Pick<RefreshClaims, 'sessionId' | 'tokenId'>;

interface TokenRow {
  readonly ended: number;
  readonly uses: number;
  readonly age_ms: number;
  /** Two at most. */
  readonly addresses: readonly string[];
}

/** For so long the client that exchanged a refresh token may do so again: its first answer may have been lost. */
const RETRY_MS = 10_000;
const REFRESH_AFTER_MS = 5000;
const MAX_AGE_MS = 15_000;
const TIMEOUT_MS = 5000;
const MAX_SESSIONS = 100_000;
/** Access tokens of a session that ended earlier have expired; refreshing asks the table itself. */
const LOOK_BACK_SECONDS = ACCESS_TOKEN_SECONDS + 300;

const SELECT_ENDED = `
SELECT session_id FROM ended_sessions
WHERE ended_at > now64(3) - toIntervalSecond({seconds:UInt32})
ORDER BY ended_at DESC
LIMIT {limit:UInt32}`;

const SELECT_TOKEN = `
SELECT
    (SELECT count() FROM ended_sessions WHERE session_id = {session_id:String}) AS ended,
    count() AS uses,
    dateDiff('millisecond', min(t.used_at), now64(3)) AS age_ms,
    groupUniqArray(2)(t.address) AS addresses
FROM token_uses AS t
WHERE session_id = {session_id:String} AND token_id = {token_id:String}`;

/** Holds the ids of at most twice 100,000 sessions: those that ended lately, and those that ended here. */
export class Sessions {
  readonly #ports: SessionPorts;
  readonly #ended: KeptRead<ReadonlySet<string>>;
  readonly #endedHere = new RecentSet(MAX_SESSIONS);
  /** Of refresh tokens. */
  readonly #turns = new Turns();

  constructor(ports: SessionPorts) {
    this.#ports = ports;
    this.#ended = new KeptRead({
      read: (signal) => this.#readEnded(signal),
      onFailure: (error) => ports.telemetry.emit('sessions_unreadable', { error: errorMessage(error) }),
      now: ports.now,
      refreshAfterMs: REFRESH_AFTER_MS,
      maxAgeMs: MAX_AGE_MS,
    });
  }

  /** Resolves when no program will accept a token of the session for longer than about 15 seconds. */
  async end({ sessionId, username }: Session, reason: 'logout' | 'reuse'): Promise<void> {
    await this.#insert('ended_sessions', { session_id: sessionId, username, reason });
    this.#endedHere.add(sessionId);
  }

  /** While ClickHouse cannot be asked, the last answer counts for a minute; then it is undefined. Never rejects. */
  async hasEnded(sessionId: string): Promise<boolean | undefined> {
    if (this.#endedHere.has(sessionId)) return true;
    return (await this.#ended.get())?.has(sessionId);
  }

  /**
   * Marks a refresh token as used. Used before, it ends the session and throws `unauthorized`: somebody has a copy.
   * The exception is the same address within ten seconds, which may have lost the answer. It gets a token that
   * counts as the one of the first answer, so of two copies of that the second one used ends the session. `onReuse`
   * is called before the session is ended.
   */
  useRefreshToken(claims: RefreshClaims, address: string, onReuse: () => void): Promise<void> {
    return this.#turns.run(claims.tokenId, async () => {
      const before = await this.#readToken(claims);
      const isFirst = before.ended === 0 && before.uses === 0;
      if (isFirst) await this.#insertUse(claims, address);
      // Of two programs at once the later insert is seen by its own read at least: never do both pass.
      const { ended, age_ms, addresses } = isFirst ? await this.#readToken(claims) : before;
      if (ended > 0) throw unauthorized();
      if (age_ms <= RETRY_MS && addresses.every((other) => other === address)) return;
      this.#ports.telemetry.emit('refresh_token_reused', { user: claims.username, address });
      onReuse();
      await this.end(claims, 'reuse');
      throw unauthorized();
    });
  }

  /** Marks a ticket as used; throws `unauthorized` unless this is the only use anywhere. */
  async useTicket(claims: TicketClaims, address: string): Promise<void> {
    await this.#insertUse(claims, address);
    // Of two at once the later insert is seen by its own read at least: never are both accepted.
    const { ended, uses } = await this.#readToken(claims);
    if (uses !== 1 || ended > 0) throw unauthorized();
  }

  async #insertUse({ sessionId, tokenId }: TokenIds, address: string): Promise<void> {
    await this.#insert('token_uses', { session_id: sessionId, token_id: tokenId, address });
  }

  async #readToken({ sessionId, tokenId }: TokenIds): Promise<TokenRow> {
    const params = { session_id: sessionId, token_id: tokenId };
    const options = { signal: AbortSignal.timeout(TIMEOUT_MS) };
    const [row] = await this.#ports.store.query<TokenRow>(SELECT_TOKEN, params, options);
    if (row === undefined) throw unauthorized();
    return row;
  }

  async #readEnded(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const params = { seconds: LOOK_BACK_SECONDS, limit: MAX_SESSIONS };
    const rows = await this.#ports.store.query<{ session_id: string }>(SELECT_ENDED, params, { signal });
    return new Set(rows.map((row) => row.session_id));
  }

  async #insert(table: string, row: object): Promise<void> {
    await this.#ports.store.insertJson(table, [row], { signal: AbortSignal.timeout(TIMEOUT_MS) });
  }
}
