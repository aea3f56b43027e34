/**
 * The keys of the dead letters: from KEY_FILE, or from a file in the data directory that the first start makes. Which
 * keys ever sealed a letter stands in the database, so that nobody goes on with another one by mistake.
 */
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { Config } from '../config.ts';
import { LETTER_KEY_BYTES, LetterSeal } from '../encode/letter-seal.ts';
import { errorMessage, MillraceError } from '../errors.ts';
import { makeKeyDirectory, readKey, readOrMakeKey } from '../key-file.ts';
import type { Store } from '../store/clickhouse-client.ts';
import { apiKeysDir } from './local-token.ts';

/** The first seals; the others, in further lines of the file, only open what they sealed. */
export type LetterKeys = readonly [Uint8Array, ...Uint8Array[]];

const HEX_KEY = new RegExp(`^[0-9a-f]{${2 * LETTER_KEY_BYTES}}$`, 'i');

/**
 * The keys of a starting program, made at first. Throws `config_invalid`, which never shows what is in the file, also
 * where the database holds letters that these keys do not open.
 */
export async function startLetterKeys(config: Config, store: Store): Promise<LetterKeys> {
  const found = findLetterKeys(config);
  await checkKeys(config, store, found ?? []);
  const keys = found ?? parseLetterKeys(keyPath(config), makeOwnKey(keyPath(config)));
  const [id = ''] = new LetterSeal(keys).keyIds;
  const known = await store.query('SELECT id FROM letter_keys WHERE id = {id:String} LIMIT 1', { id });
  if (known.length === 0) await store.insertJson('letter_keys', [{ id }]);
  return keys;
}

/** The keys as a start left them, for a command that seals with them. Throws `config_invalid` as a start does. */
export async function checkedLetterKeys(config: Config, store: Store): Promise<LetterKeys> {
  const keys = loadLetterKeys(config);
  await checkKeys(config, store, keys);
  return keys;
}

/** The keys as a start left them. Throws `config_invalid`, also when there are none. */
export function loadLetterKeys(config: Config): LetterKeys {
  const keys = findLetterKeys(config);
  if (keys !== undefined) return keys;
  throw new MillraceError(
    'config_invalid',
    `There is no key of dead letters at ${keyPath(config)}: a start of \`millrace up\` or \`process\` makes it. ` +
      'Where letters are stored already, give their key: --key-file, or a copy at that path.',
  );
}

function keyPath({ keyFile, dataDir }: Config): string {
  return keyFile ?? join(apiKeysDir(dataDir), 'dead-letters.key');
}

/** The keys as they are here; undefined when there are none. Throws `config_invalid`. */
export function findLetterKeys(config: Config): LetterKeys | undefined {
  const path = keyPath(config);
  const text = orInvalid(path, () => readKey(path));
  if (text === undefined && config.keyFile === undefined) return undefined;
  if (text !== undefined) return parseLetterKeys(path, text);
  throw new MillraceError('config_invalid', `The key file ${path} cannot be used: ENOENT, it is not there.`);
}

/** A key that is not here is missed only while letters that it sealed are. */
async function checkKeys(config: Config, store: Store, keys: readonly Uint8Array[]): Promise<void> {
  const held = keys.length === 0 ? [] : new LetterSeal(keys).keyIds;
  const others = await store.query<{ id: string }>(
    'SELECT DISTINCT id FROM letter_keys WHERE id NOT IN {held:Array(String)} ORDER BY id',
    { held },
  );
  for (const { id } of others) {
    const letters = await store.query(
      `SELECT 1 FROM dead_letters WHERE content != '' AND substring(payload, 2, 8) = unhex({id:String}) LIMIT 1`,
      { id },
    );
    if (letters.length === 0) continue;
    throw new MillraceError(
      'config_invalid',
      `The database holds dead letters sealed with key ${id}, which is not at ${keyPath(config)}. Put that key back, ` +
        'or write it into KEY_FILE below the new one: the first line seals, the others open.',
    );
  }
}

function makeOwnKey(path: string): string {
  return orInvalid(path, () => {
    makeKeyDirectory(dirname(path));
    return readOrMakeKey(path, () => `${randomBytes(LETTER_KEY_BYTES).toString('hex')}\n`);
  });
}

function orInvalid<Text>(path: string, read: () => Text): Text {
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
