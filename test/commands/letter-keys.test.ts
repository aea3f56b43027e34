import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { checkedLetterKeys, loadLetterKeys, startLetterKeys } from '../../src/commands/letter-keys.ts';
import { loadConfig } from '../../src/config.ts';
import { LetterSeal } from '../../src/encode/letter-seal.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { TEST_LETTER_KEY, writeLetterKey } from '../support/letters.ts';

let folder = '';
let clickhouse: TestClickHouse;
beforeAll(async () => {
  clickhouse = await startClickHouse();
});
afterAll(() => clickhouse.stop());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-letter-keys-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function configOf(env: Record<string, string> = {}) {
  return loadConfig({ flags: {}, env: { MILLRACE_DATA_DIR: folder, ...env } }).config;
}

function load(env: Record<string, string> = {}) {
  return loadLetterKeys(configOf(env));
}

async function start(env: Record<string, string> = {}) {
  return await startLetterKeys(configOf(env), clickhouse.store);
}

function keyFile(text: string, mode = 0o600): Record<string, string> {
  const path = join(folder, 'given.key');
  writeFileSync(path, text, { mode });
  return { MILLRACE_KEY_FILE: path };
}

test('a key of its own is made once, by a start, for its owner only', async () => {
  const path = join(folder, 'keys', 'dead-letters.key');
  expect(() => load()).toThrow('a start of `millrace up` or `process` makes it');
  await expect(checkedLetterKeys(configOf(), clickhouse.store)).rejects.toMatchObject({
    code: 'config_invalid',
  });
  expect(existsSync(path)).toBe(false);
  const [key, ...others] = await start();
  expect(key.length).toBe(32);
  expect(others).toEqual([]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, 'utf8')).toBe(`${Buffer.from(key).toString('hex')}\n`);
  expect(load()).toEqual([key]);
  expect(await start()).toEqual([key]);
});

test('another key than that of stored letters is refused, unless KEY_FILE lists that too', async () => {
  const { store } = clickhouse;
  writeLetterKey(folder);
  await start();
  const place = {
    source: 1,
    partition: 2,
    offset: 3,
    toOffset: 4,
    recordTimeUs: 5,
    content: 'record',
  } as const;
  const payload = new LetterSeal([TEST_LETTER_KEY]).seal(place, Buffer.from('secret'));
  await store.command(
    `INSERT INTO dead_letters (source, partition, offset, to_offset, content, payload)
     SELECT 1, 2, 3, 4, 'record', unhex('${Buffer.from(payload).toString('hex')}')`,
  );
  rmSync(join(folder, 'keys'), { recursive: true });
  const [id = ''] = new LetterSeal([TEST_LETTER_KEY]).keyIds;
  await expect(start()).rejects.toThrow(`sealed with key ${id}`);
  expect(existsSync(join(folder, 'keys'))).toBe(false);
  const other = 'ab'.repeat(32);
  await expect(start(keyFile(other))).rejects.toThrow('below the new one');
  await expect(checkedLetterKeys(configOf(keyFile(other)), store)).rejects.toThrow(id);
  const both = keyFile(`${other}\n${Buffer.from(TEST_LETTER_KEY).toString('hex')}\n`);
  expect(await start(both)).toHaveLength(2);
  await store.command('TRUNCATE TABLE dead_letters');
  expect(await start(keyFile(other))).toHaveLength(1);
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
