/**
 * Access tokens, refresh tokens and tickets: JWTs signed with Ed25519 (EdDSA), found by key id. The only file that
 * knows fast-jwt. The kinds differ in audience, so that one is never taken for another.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createDecoder, createSigner, createVerifier } from 'fast-jwt';
import { MillraceError } from '../../errors.ts';
import { type Principal, ROLES, type Role } from '../route.ts';
import type { SigningKey } from './key-files.ts';
import { MAX_KEYS } from './public-keys.ts';
import { ACCESS_TOKEN_SECONDS, REFRESH_TOKEN_SECONDS, TICKET_SECONDS } from './token-lifetimes.ts';
import type { VerifyingKey } from './verifying-key.ts';

export interface TokenSubject {
  readonly username: string;
  readonly role: Role;
  /** Version of the user's row: tokens die when the user changes. */
  readonly version: number;
}

export interface AccessClaims extends Omit<Principal, 'scope' | 'isCurrent'> {
  readonly version: number;
}

export interface TicketClaims extends AccessClaims {
  readonly tokenId: string;
}

export interface RefreshClaims {
  readonly username: string;
  readonly version: number;
  readonly sessionId: string;
  readonly tokenId: string;
}

export interface TokenPair {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly expiresInSeconds: number;
}

/** A key ring, as far as tokens need it. */
export interface TokenKeys {
  signingKey(): Promise<SigningKey>;
  find(id: string): Promise<VerifyingKey | undefined>;
  isOwn(id: string): boolean;
}

/** Subject of the tokens that this machine's command line signs for itself; rows of users have higher versions. */
const LOCAL_SUBJECT = { username: 'command-line', version: 0 } as const;

/** Whether whoever holds the signing key made the token, for a user that has no row. */
export function isLocal({ username, version }: AccessClaims): boolean {
  return username === LOCAL_SUBJECT.username && version === LOCAL_SUBJECT.version;
}

type Kind = 'access' | 'refresh' | 'ticket';

interface Claims {
  readonly sub: string;
  readonly sid: string;
  readonly jti: string;
  readonly role?: unknown;
  readonly ver?: unknown;
}

type Verify = (token: string) => Claims;

const ISSUER = 'millrace';
const REQUIRED_CLAIMS = ['exp', 'iat', 'iss', 'aud', 'sub', 'jti', 'sid', 'ver'];
/** Verified tokens are remembered, per key: 129 µs each otherwise. An entry never outlives its token. */
const CACHE = { cache: 500, cacheTTL: 60_000 };
const KINDS = {
  access: { aud: 'millrace-api', seconds: ACCESS_TOKEN_SECONDS, cache: CACHE },
  refresh: { aud: 'millrace-refresh', seconds: REFRESH_TOKEN_SECONDS, cache: { cache: false } },
  ticket: { aud: 'millrace-ticket', seconds: TICKET_SECONDS, cache: { cache: false } },
} as const;
const MAX_TOKEN_CHARACTERS = 4096;

export class Tokens {
  readonly #keys: TokenKeys;
  /** By kind and key id, oldest first. */
  readonly #verifiers = new Map<string, Verify>();
  readonly #decode = createDecoder({ complete: true });

  constructor(keys: TokenKeys) {
    this.#keys = keys;
  }

  /** A pair for a new session. Rejects when no key can sign now. */
  async issue(subject: TokenSubject, sessionId: string = randomUUID()): Promise<TokenPair> {
    return pair(await this.#keys.signingKey(), subject, { sessionId, tokenId: randomUUID() });
  }

  /** The pair that follows a refresh token: the same one again, in effect, for the same refresh token. */
  async reissue(subject: TokenSubject, { sessionId, tokenId }: RefreshClaims): Promise<TokenPair> {
    const nextId = createHash('sha256').update(`after ${tokenId}`).digest('base64url');
    return pair(await this.#keys.signingKey(), subject, { sessionId, tokenId: nextId });
  }

  async issueTicket({ username, role, version }: TokenSubject, sessionId: string): Promise<string> {
    const claims = { sub: username, sid: sessionId, jti: randomUUID(), role, ver: version };
    return sign(await this.#keys.signingKey(), 'ticket', claims);
  }

  /** Throws `unauthorized`. */
  async verifyAccess(token: string): Promise<AccessClaims> {
    return withRole(await this.#verify(token, 'access'));
  }

  /** Throws `unauthorized`. That it was not redeemed before is for the caller to find out. */
  async verifyTicket(token: string): Promise<TicketClaims> {
    const claims = await this.#verify(token, 'ticket');
    return { ...withRole(claims), tokenId: claims.jti };
  }

  /** Throws `unauthorized`. That it was not exchanged before is for the caller to find out. */
  async verifyRefresh(token: string): Promise<RefreshClaims> {
    const { sub, sid, jti, ver } = await this.#verify(token, 'refresh');
    if (typeof ver !== 'number') throw unauthorized();
    return { username: sub, sessionId: sid, tokenId: jti, version: ver };
  }

  async #verify(token: string, kind: Kind): Promise<Claims> {
    const keyId = this.#keyIdOf(token);
    const key = keyId === undefined ? undefined : await this.#keys.find(keyId);
    if (key === undefined) throw unauthorized();
    const claims = this.#check(token, key, kind);
    // Only this machine's own command line may speak for itself.
    if (claims.ver === LOCAL_SUBJECT.version && !this.#keys.isOwn(key.id)) throw unauthorized();
    return claims;
  }

  #keyIdOf(token: string): string | undefined {
    if (token.length > MAX_TOKEN_CHARACTERS) return undefined;
    try {
      const { header } = this.#decode(token) as { header: { alg?: unknown; kid?: unknown } };
      return header.alg === 'EdDSA' && typeof header.kid === 'string' ? header.kid : undefined;
    } catch {
      return undefined;
    }
  }

  #check(token: string, key: VerifyingKey, kind: Kind): Claims {
    try {
      return this.#verifier(key, kind)(token);
    } catch {
      // Whatever is wrong with it, the client learns only that it is not accepted.
      throw unauthorized();
    }
  }

  #verifier(key: VerifyingKey, kind: Kind): Verify {
    const name = `${kind} ${key.id}`;
    const known = this.#verifiers.get(name);
    if (known !== undefined) return known;
    const made = verifier(key, kind);
    this.#verifiers.set(name, made);
    if (this.#verifiers.size > 3 * MAX_KEYS) {
      for (const oldest of this.#verifiers.keys()) {
        this.#verifiers.delete(oldest);
        break;
      }
    }
    return made;
  }
}

/** An access token of the command line, for whoever can read the signing key. */
export function signLocalToken(key: SigningKey, role: Role): string {
  const { username, version } = LOCAL_SUBJECT;
  const claims = { sub: username, sid: randomUUID(), jti: randomUUID(), role, ver: version };
  return sign(key, 'access', claims);
}

function pair(
  key: SigningKey,
  subject: TokenSubject,
  ids: { readonly sessionId: string; readonly tokenId: string },
): TokenPair {
  const base = { sub: subject.username, sid: ids.sessionId, ver: subject.version };
  return {
    accessToken: sign(key, 'access', { ...base, jti: randomUUID(), role: subject.role }),
    refreshToken: sign(key, 'refresh', { ...base, jti: ids.tokenId }),
    expiresInSeconds: ACCESS_TOKEN_SECONDS,
  };
}

function sign(key: SigningKey, kind: Kind, claims: Claims): string {
  const { aud, seconds } = KINDS[kind];
  const signer = createSigner({
    algorithm: 'EdDSA',
    key: key.privatePem,
    kid: key.id,
    iss: ISSUER,
    aud,
    expiresIn: seconds * 1000,
  });
  return signer({ ...claims });
}

function verifier(key: VerifyingKey, kind: Kind): Verify {
  const { aud, seconds, cache } = KINDS[kind];
  return createVerifier({
    algorithms: ['EdDSA'],
    key: key.publicPem,
    allowedIss: ISSUER,
    allowedAud: aud,
    requiredClaims: REQUIRED_CLAIMS,
    // Whatever its `exp` says.
    maxAge: seconds * 1000,
    ...cache,
  });
}

function withRole({ sub, sid, role, ver }: Claims): AccessClaims {
  if (!ROLES.includes(role as Role) || typeof ver !== 'number') throw unauthorized();
  return { username: sub, sessionId: sid, role: role as Role, version: ver };
}

export function unauthorized(): MillraceError {
  return new MillraceError('unauthorized', 'A valid access token is required: log in again.');
}
