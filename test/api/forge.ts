/**
 * Tokens made by hand: as an attacker would.
 */
import { createHmac, sign } from 'node:crypto';

export function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

export function signed(header: object, claims: object, privatePem: string): string {
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${sign(null, Buffer.from(input), privatePem).toString('base64url')}`;
}

/** HS256: what a verifier accepts that takes a public key for a secret. */
export function signedWithSecret(header: object, claims: object, secret: string): string {
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

/** Head and claims of a token, unverified. */
export function decoded(token: string): { head: Record<string, unknown>; claims: Record<string, unknown> } {
  const [head = '', claims = ''] = token.split('.');
  const parse = (text: string) =>
    JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>;
  return { head: parse(head), claims: parse(claims) };
}
