/**
 * Access and refresh tokens: JWTs signed with Ed25519 (EdDSA), found by key id. The only file that knows fast-jwt.
 * The two kinds differ in audience, so that one is never taken for the other.
 */
import { randomUUID } from 'node:crypto';
import { createDecoder, createSigner, createVerifier, type VerifierOptions } from 'fast-jwt';
import { MillraceError } from '../../errors.ts';
import { type Principal, ROLES, type Role } from '../route.ts';
import type { SigningKey } from './key-files.ts';

export interface TokenSubject {
  readonly username: string;
  readonly role: Role;
  /** Version of the user's row: tokens die when the user changes. */
  readonly version: number;
}

export interface AccessClaims extends Omit<Principal, 'scope'> {
  readonly version: number;
}

export interface RefreshClaims {
  readonly username: string;
  readonly version: number;
  readonly sessionId: string;
}

export interface TokenPair {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly expiresInSeconds: number;
}

const ACCESS_TOKEN_SECONDS = 15 * 60;
export const REFRESH_TOKEN_SECONDS = 7 * 24 * 60 * 60;

/** Subject of the tokens that this machine's command line signs for itself; rows of users have higher versions. */
export const LOCAL_SUBJECT = { username: 'command-line', version: 0 } as const;

const ISSUER = 'millrace';
const ACCESS_AUDIENCE = 'millrace-api';
const REFRESH_AUDIENCE = 'millrace-refresh';
const REQUIRED_CLAIMS = ['exp', 'iat', 'iss', 'aud', 'sub', 'jti', 'sid'];
/** Verified tokens are remembered: 129 µs each otherwise. An entry never outlives its token. */
const CACHE = { cache: 1000, cacheTTL: 60_000 };
const MAX_TOKEN_CHARACTERS = 4096;

interface Claims {
  readonly sub: string;
  readonly sid: string;
  readonly role?: unknown;
  readonly ver?: unknown;
}

type Verify = (token: string) => Claims;

export class Tokens {
  readonly #signAccess: (claims: object) => string;
  readonly #signRefresh: (claims: object) => string;
  readonly #access: ReadonlyMap<string, Verify>;
  readonly #refresh: ReadonlyMap<string, Verify>;
  readonly #decode = createDecoder({ complete: true });

  /** Signs with `key`; tokens of other keys are accepted once they stand in the maps under their id. */
  constructor(key: SigningKey) {
    this.#signAccess = signer(key, ACCESS_AUDIENCE, ACCESS_TOKEN_SECONDS);
    this.#signRefresh = signer(key, REFRESH_AUDIENCE, REFRESH_TOKEN_SECONDS);
    this.#access = new Map([[key.id, verifier(key, ACCESS_AUDIENCE, CACHE)]]);
    this.#refresh = new Map([[key.id, verifier(key, REFRESH_AUDIENCE, {})]]);
  }

  issue(subject: TokenSubject, sessionId: string = randomUUID()): TokenPair {
    const base = { sub: subject.username, sid: sessionId, ver: subject.version };
    return {
      accessToken: this.#signAccess({ ...base, jti: randomUUID(), role: subject.role }),
      refreshToken: this.#signRefresh({ ...base, jti: randomUUID() }),
      expiresInSeconds: ACCESS_TOKEN_SECONDS,
    };
  }

  /** Throws `unauthorized`. */
  verifyAccess(token: string): AccessClaims {
    const { sub, sid, role, ver } = this.#verify(token, this.#access);
    if (!isRole(role) || typeof ver !== 'number') throw unauthorized();
    return { username: sub, sessionId: sid, role, version: ver };
  }

  /** Throws `unauthorized`. */
  verifyRefresh(token: string): RefreshClaims {
    const { sub, sid, ver } = this.#verify(token, this.#refresh);
    if (typeof ver !== 'number') throw unauthorized();
    return { username: sub, sessionId: sid, version: ver };
  }

  #verify(token: string, verifiers: ReadonlyMap<string, Verify>): Claims {
    if (token.length > MAX_TOKEN_CHARACTERS) throw unauthorized();
    try {
      const { header } = this.#decode(token) as { header: { kid?: unknown } };
      const verify = typeof header.kid === 'string' ? verifiers.get(header.kid) : undefined;
      if (verify !== undefined) return verify(token);
    } catch {
      // Whatever is wrong with it, the client learns only that it is not accepted.
    }
    throw unauthorized();
  }
}

function signer(key: SigningKey, aud: string, seconds: number): (claims: object) => string {
  return createSigner({
    algorithm: 'EdDSA',
    key: key.privatePem,
    kid: key.id,
    iss: ISSUER,
    aud,
    expiresIn: seconds * 1000,
  });
}

function verifier(key: SigningKey, allowedAud: string, cache: Partial<VerifierOptions>): Verify {
  return createVerifier({
    algorithms: ['EdDSA'],
    key: key.publicPem,
    allowedIss: ISSUER,
    allowedAud,
    requiredClaims: REQUIRED_CLAIMS,
    cache: false,
    ...cache,
  });
}

function isRole(value: unknown): value is Role {
  return ROLES.includes(value as Role);
}

export function unauthorized(): MillraceError {
  return new MillraceError('unauthorized', 'A valid access token is required: log in again.');
}
