/**
 * The key of the API in a file that only its owner can read, made at the first start: the Ed25519 pair that signs
 * tokens, which is replaced now and then.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { errorMessage, MillraceError } from '../../errors.ts';
import { makeKeyDirectory, readOrMakeKey, replaceKey } from '../../key-file.ts';
import { toVerifyingKey, type VerifyingKey } from './verifying-key.ts';

export interface SigningKey extends VerifyingKey {
  readonly privatePem: string;
  /** Milliseconds since the epoch. */
  readonly madeMs: number;
}

export interface ApiKeys {
  /** Where they are; the signing key there may be replaced at any time. */
  readonly directory: string;
  readonly signing: SigningKey;
}

/** Reads the keys of `directory`; makes what is missing. Two programs that start at once get the same keys. */
export function loadApiKeys(directory: string): ApiKeys {
  return withKeys(directory, () => {
    makeKeyDirectory(directory);
    return { directory, signing: readSigningKey(directory) };
  });
}

/** The key that is to sign from now on; made when missing. */
export function readSigningKey(directory: string): SigningKey {
  return withKeys(directory, () => {
    const path = signingPath(directory);
    const privatePem = readOrMakeKey(path, newPrivatePem);
    return toSigningKey(privatePem, statSync(path).mtimeMs);
  });
}

/** Puts a new signing key in the place of the old one, whose private half is gone after that. */
export function replaceSigningKey(directory: string, nowMs: number): SigningKey {
  return withKeys(directory, () => {
    replaceKey(signingPath(directory), newPrivatePem(), nowMs);
    // Not the one just written, if another program was as fast.
    return readSigningKey(directory);
  });
}

function signingPath(directory: string): string {
  return join(directory, 'token-signing.pem');
}

function withKeys<T>(directory: string, work: () => T): T {
  try {
    return work();
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

function toSigningKey(privatePem: string, madeMs: number): SigningKey {
  const { crv, x } = createPublicKey(createPrivateKey(privatePem)).export({ format: 'jwk' });
  if (crv !== 'Ed25519' || x === undefined) throw new Error('token-signing.pem holds no Ed25519 key');
  return { ...toVerifyingKey(x), privatePem, madeMs };
}
