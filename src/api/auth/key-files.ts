/**
 * Keys of the API in files that only their owner can read, made at the first start: the Ed25519 pair that signs
 * tokens and the secret that signs cursors.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorMessage, MillraceError } from '../../errors.ts';

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

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS = 0o077;
const SECRET_BYTES = 32;

/** Reads the keys of `directory`; makes what is missing. Two programs that start at once get the same keys. */
export function loadApiKeys(directory: string): ApiKeys {
  try {
    mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
    const privatePem = readOrMake(join(directory, 'token-signing.pem'), newPrivatePem);
    const secret = readOrMake(join(directory, 'cursor-secret'), () =>
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

function readOrMake(path: string, make: () => string): string {
  const present = tryRead(path);
  if (present !== undefined) return present;
  // Written aside and linked: the name appears with its contents or, if another was faster, not at all.
  const aside = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeFileSync(aside, make(), { mode: FILE_MODE, flag: 'wx' });
  try {
    linkSync(aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(aside);
  }
  return readFileSync(path, 'utf8');
}

function tryRead(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (process.platform !== 'win32' && (statSync(path).mode & OTHERS) !== 0) {
    throw new MillraceError('config_invalid', `${path} can be read by others than its owner: chmod 600 it.`);
  }
  return text;
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
