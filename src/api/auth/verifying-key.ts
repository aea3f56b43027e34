/**
 * The public half of a key that signs tokens: Ed25519, as a JWK (RFC 8037) and as PEM.
 */
import { createHash, createPublicKey } from 'node:crypto';

export interface VerifyingKey {
  /** JWK thumbprint (RFC 7638), so that the same key has the same id everywhere. */
  readonly id: string;
  /** The key itself, base64url. */
  readonly x: string;
  readonly publicPem: string;
}

/** Throws when `x` is no Ed25519 key. */
export function toVerifyingKey(x: string): VerifyingKey {
  const jwk = { crv: 'Ed25519', kty: 'OKP', x };
  const publicPem = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const id = createHash('sha256').update(JSON.stringify(jwk)).digest('base64url');
  return { id, x, publicPem: publicPem.toString() };
}

/** As it stands in a JWK set (RFC 7517). */
export function toJwk({ id, x }: VerifyingKey) {
  return { kty: 'OKP', crv: 'Ed25519', x, kid: id, use: 'sig', alg: 'EdDSA' };
}
