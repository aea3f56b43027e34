import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readRunFile, removeRunFile, writeRunFile } from '../../src/store/run-file.ts';

const clickhouse = { port: 4711, header: 'x-millrace-key', key: 'abc' };
let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-run-'));
});

afterEach(async () => {
  await rm(dataDir, { recursive: true, force: true });
});

async function rewrite(change: object): Promise<void> {
  const path = join(dataDir, 'run.json');
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), ...change }));
}

test('run.json is readable by its owner only and says how to reach the program', async () => {
  await writeRunFile(dataDir, { clickhouse });
  expect((await stat(join(dataDir, 'run.json'))).mode & 0o777).toBe(0o600);
  expect(await readRunFile(dataDir)).toMatchObject({ pid: process.pid, clickhouse });
});

test('run.json is replaced whole when the address of the API is added', async () => {
  await writeRunFile(dataDir, { clickhouse });
  await writeRunFile(dataDir, { clickhouse, apiUrl: 'http://127.0.0.1:8080' });
  expect(await readRunFile(dataDir)).toMatchObject({ clickhouse, apiUrl: 'http://127.0.0.1:8080' });
  expect(await readdir(dataDir)).toEqual(['run.json']);
});

test('a run.json of a program that is gone counts as absent', async () => {
  await writeRunFile(dataDir, { clickhouse });
  await rewrite({ pid: 2 ** 22 - 1 });
  expect(await readRunFile(dataDir)).toBeUndefined();
});

test('a run.json whose pid went to another process counts as absent', async () => {
  await writeRunFile(dataDir, { clickhouse });
  await rewrite({ processStart: '1' });
  expect(await readRunFile(dataDir)).toBeUndefined();
});

test.each(['', '{', 'null', '[]', '{"pid":1}', '"x"'])(
  'a run.json that reads %j counts as absent',
  async (text) => {
    await writeFile(join(dataDir, 'run.json'), text);
    expect(await readRunFile(dataDir)).toBeUndefined();
  },
);

test('removeRunFile removes the file of this process and no other', async () => {
  await writeRunFile(dataDir, { clickhouse });
  await rewrite({ processStart: '1' });
  await removeRunFile(dataDir);
  expect(await readdir(dataDir)).toEqual(['run.json']);
  await writeRunFile(dataDir, { clickhouse });
  await removeRunFile(dataDir);
  expect(await readdir(dataDir)).toEqual([]);
});
