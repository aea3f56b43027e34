/**
 * API keys as text: `mr_<id>_<secret>`. The id is public and names the key; the secret has 256 random bits, so its
 * SHA-256 tells nobody anything, and no slow hash is needed to keep it.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { HttpRequest } from '../http/port.ts';

export interface NewKeyText {
  readonly id: string;
  /** The whole key. Shown once. */
  readonly text: string;
  readonly hash: string;
}

const ID_BYTES = 6;
const SECRET_BYTES = 32;
const KEY = /^mr_([0-9a-f]{12})_[\w-]{43}$/;
const BEARER_KEY = /^Bearer +(mr_[\w-]+)$/i;
const BASIC = /^Basic +([\w+/]+=*)$/i;

export function newKeyText(): NewKeyText {
  const id = randomBytes(ID_BYTES).toString('hex');
  const text = `mr_${id}_${randomBytes(SECRET_BYTES).toString('base64url')}`;
  return { id, text, hash: hashOf(text).toString('hex') };
}

/** Id of the key; undefined for what cannot be one. */
export function keyIdOf(text: string): string | undefined {
  return KEY.exec(text)?.[1];
}

/** `hash` is hexadecimal. */
export function isKeyText(text: string, hash: string): boolean {
  const expected = Buffer.from(hash, 'hex');
  const given = hashOf(text);
  return expected.length === given.length && timingSafeEqual(expected, given);
}

/**
 * The key a request was sent with: `X-API-Key`, `Authorization: Bearer mr_…`, or the password of `Basic` with any
 * user name. Undefined when there is none of them; what is there may be no key at all.
 */
export function keyTextOf({ headers }: Pick<HttpRequest, 'headers'>): string | undefined {
  const own = headers.get('x-api-key');
  if (own !== undefined) return own;
  const authorization = headers.get('authorization') ?? '';
  const [, bearer] = BEARER_KEY.exec(authorization) ?? [];
  if (bearer !== undefined) return bearer;
  const [, basic] = BASIC.exec(authorization) ?? [];
  if (basic === undefined) return undefined;
  const pair = Buffer.from(basic, 'base64').toString('latin1');
  return pair.slice(pair.indexOf(':') + 1);
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
