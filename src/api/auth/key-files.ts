/**
 * Keys of the API in files that only their owner can read, made at the first start: the Ed25519 pair that signs
 * tokens and the secret that signs cursors.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { errorMessage, MillraceError } from '../../errors.ts';
import { makeKeyDirectory, readOrMakeKey } from '../../key-file.ts';

export interface SigningKey {
  /** JWK thumbprint of the public key (RFC 7638), so that the same key has the same id everywhere. */
  readonly id: string;
  readonly privatePem: string;
  readonly publicPem: string;
}

export interface ApiKeys {
  readonly signing: SigningKey;
  readonly cursorSecret: Buffer;
}

const SECRET_BYTES = 32;

/** Reads the keys of `directory`; makes what is missing. Two programs that start at once get the same keys. */
export function loadApiKeys(directory: string): ApiKeys {
  try {
    makeKeyDirectory(directory);
    const privatePem = readOrMakeKey(join(directory, 'token-signing.pem'), newPrivatePem);
    const secret = readOrMakeKey(join(directory, 'cursor-secret'), () =>
      randomBytes(SECRET_BYTES).toString('hex'),
    );
    const cursorSecret = Buffer.from(secret.trim(), 'hex');
    if (cursorSecret.byteLength < SECRET_BYTES) throw new Error('cursor-secret is too short');
    return { signing: toSigningKey(privatePem), cursorSecret };
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw new MillraceError(
      'config_invalid',
      `The keys in ${directory} cannot be used: ${errorMessage(error)}.`,
    );
  }
}

function newPrivatePem(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function toSigningKey(privatePem: string): SigningKey {
  const publicKey = createPublicKey(createPrivateKey(privatePem));
  const jwk = publicKey.export({ format: 'jwk' });
  if (jwk.crv !== 'Ed25519') throw new Error('token-signing.pem holds no Ed25519 key');
  const canonical = JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x });
  return {
    id: createHash('sha256').update(canonical).digest('base64url'),
    privatePem,
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}
