import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadLetterKeys } from '../../src/commands/letter-keys.ts';
import { loadConfig } from '../../src/config.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-letter-keys-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function load(env: Record<string, string> = {}) {
  return loadLetterKeys(loadConfig({ flags: {}, env: { MILLRACE_DATA_DIR: folder, ...env } }).config);
}

function keyFile(text: string, mode = 0o600): Record<string, string> {
  const path = join(folder, 'given.key');
  writeFileSync(path, text, { mode });
  return { MILLRACE_KEY_FILE: path };
}

test('a key of its own is made once, for its owner only', () => {
  const [key, ...others] = load();
  expect(key.length).toBe(32);
  expect(others).toEqual([]);
  const path = join(folder, 'keys', 'dead-letters.key');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, 'utf8')).toBe(`${Buffer.from(key).toString('hex')}\n`);
  expect(load()).toEqual([key]);
});

test('KEY_FILE holds the key, and older ones in further lines', () => {
  const [first, second] = ['ab'.repeat(32), 'CD'.repeat(32)];
  const keys = load(keyFile(`${first}\n${second}\r\n\n`));
  expect(keys.map((key) => Buffer.from(key).toString('hex'))).toEqual([first, second.toLowerCase()]);
});

test.each([
  ['nothing', ''],
  ['a short key', 'ab'.repeat(31)],
  ['something else', `${'ab'.repeat(32)}\nsecret-word`],
])('%s in it is refused without showing it', (_name, text) => {
  const env = keyFile(text);
  expect(() => load(env)).toThrow('must hold 64 hexadecimal digits');
  expect(() => load(env)).not.toThrow(/secret-word|abab/);
});

test('a file that others can read, or that is not there, is refused', () => {
  const env = keyFile(`${'ab'.repeat(32)}\n`);
  chmodSync(join(folder, 'given.key'), 0o640);
  expect(() => load(env)).toThrow('chmod 600');
  expect(() => load({ MILLRACE_KEY_FILE: join(folder, 'missing') })).toThrow('ENOENT');
});
