/**
 * The keys of the dead letters: from KEY_FILE, or from a file in the data directory that is made at first.
 */
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { Config } from '../config.ts';
import { LETTER_KEY_BYTES } from '../encode/letter-seal.ts';
import { errorMessage, MillraceError } from '../errors.ts';
import { makeKeyDirectory, readKey, readOrMakeKey } from '../key-file.ts';
import { apiKeysDir } from './local-token.ts';

/** The first seals; the others, in further lines of the file, only open what they sealed. */
export type LetterKeys = readonly [Uint8Array, ...Uint8Array[]];

const HEX_KEY = new RegExp(`^[0-9a-f]{${2 * LETTER_KEY_BYTES}}$`, 'i');

/** Throws `config_invalid`, which never shows what is in the file. */
export function loadLetterKeys({ keyFile, dataDir }: Config): LetterKeys {
  const path = keyFile ?? join(apiKeysDir(dataDir), 'dead-letters.key');
  return parseLetterKeys(path, keyFile === undefined ? readOwnKey(path) : readGivenKey(path));
}

function readOwnKey(path: string): string {
  return orInvalid(path, () => {
    makeKeyDirectory(dirname(path));
    return readOrMakeKey(path, () => `${randomBytes(LETTER_KEY_BYTES).toString('hex')}\n`);
  });
}

function readGivenKey(path: string): string {
  return orInvalid(path, () => readKey(path) ?? '');
}

function orInvalid(path: string, read: () => string): string {
  try {
    return read();
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw new MillraceError('config_invalid', `The key file ${path} cannot be used: ${errorMessage(error)}.`);
  }
}

function parseLetterKeys(path: string, text: string): LetterKeys {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  const keys = lines.map((line) => line.trim()).filter((line) => HEX_KEY.test(line));
  const [first, ...others] = keys.map((line) => Uint8Array.from(Buffer.from(line, 'hex')));
  if (first !== undefined && keys.length === lines.length) return [first, ...others];
  throw new MillraceError(
    'config_invalid',
    `The key file ${path} must hold ${2 * LETTER_KEY_BYTES} hexadecimal digits a line (openssl rand -hex ${LETTER_KEY_BYTES}).`,
  );
}
