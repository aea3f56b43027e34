import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBlockStore } from '../../src/store/block-store.ts';
import { createStore } from '../../src/store/clickhouse-client.ts';
import { readFreeDiskBytes } from '../../src/store/disk.ts';
import { type OpenedStore, openRunning, openStore } from '../../src/store/open-store.ts';
import { readRunFile } from '../../src/store/run-file.ts';
import { RecordingTelemetry } from '../support/clickhouse.ts';
import { lowCardinality, nativeBlock, strings, uint8, uint16, uint64 } from '../support/native-block.ts';

const telemetry = new RecordingTelemetry();
let dataDir: string;
let opened: OpenedStore;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-open-'));
  opened = await openStore({ dataDir, telemetry, database: 'millrace' });
});

afterAll(async () => {
  await opened.close();
  await rm(dataDir, { recursive: true, force: true });
});

const HOUR_US = 3_600_000_000;
const firstUs = Date.UTC(2026, 0, 1) * 1000;

test('the store takes blocks of logs and of dead letters, and the ledger', async () => {
  const { store } = opened;
  const blocks = createBlockStore(store, { owner: 'test', isGuarded: false });
  const logs = nativeBlock(2, [
    { name: 'timestamp', type: "DateTime64(6, 'UTC')", data: uint64([firstUs, firstUs + HOUR_US]) },
    { name: 'ingested_at', type: "DateTime64(6, 'UTC')", data: uint64([4e15, 4e15]) },
    { name: 'retention_days', type: 'UInt16', data: uint16([30, 30]) },
    { name: 'offset', type: 'UInt64', data: uint64([7, 8]) },
    { name: 'host', type: 'LowCardinality(String)', data: lowCardinality(['web-1', 'web-2']) },
    { name: 'message', type: 'String', data: strings(['one', 'two']) },
  ]);
  await blocks.insertBlocks('logs', [{ bytes: logs, rowCount: 2, partitionKeys: [] }], []);
  const rows = await store.selectArrays(
    'SELECT offset, host, service, message, toString(source_ip), cpu_usage FROM logs ORDER BY offset',
  );
  expect(rows.rows).toEqual([
    [7, 'web-1', '', 'one', '::', null],
    [8, 'web-2', '', 'two', '::', null],
  ]);

  const letter = nativeBlock(1, [
    { name: 'source', type: 'UInt8', data: uint8([3]) },
    { name: 'partition', type: 'UInt16', data: uint16([4]) },
    { name: 'offset', type: 'UInt64', data: uint64([5]) },
    { name: 'record_time', type: "DateTime64(6, 'UTC')", data: uint64([firstUs]) },
    { name: 'reason', type: 'LowCardinality(String)', data: lowCardinality(['malformed_json']) },
    { name: 'detail', type: 'String', data: strings(['at byte 3']) },
    { name: 'payload', type: 'String', data: Uint8Array.from([4, 0xff, 0, 0x7b, 0xfe]) },
  ]);
  await blocks.insertBlocks('dead_letters', [{ bytes: letter, rowCount: 1, partitionKeys: [] }], []);
  expect(await store.query('SELECT reason, hex(payload) AS payload FROM dead_letters')).toEqual([
    { reason: 'malformed_json', payload: 'FF007BFE' },
  ]);

  await blocks.insertLedger([
    {
      source: 1,
      partition: 2,
      epoch: 3,
      fromOffset: 10,
      toOffset: 20,
      receivedCount: 10,
      storedCount: 7,
      alreadyPresentCount: 0,
      lostUpstreamCount: 0,
      filtered: { blank: 2 },
      deadLettered: { malformed_json: 1 },
    },
  ]);
  await blocks.insertLedger([]);
  expect(await store.query('SELECT * EXCEPT (committed_at) FROM ledger')).toEqual([
    {
      source: 1,
      partition: 2,
      epoch: 3,
      from_offset: 10,
      to_offset: 20,
      received: 10,
      stored: 7,
      already_present: 0,
      lost_upstream: 0,
      filtered: { blank: 2 },
      dead_lettered: { malformed_json: 1 },
      rules_version: '',
    },
  ]);
});

test('run.json lets a command work through the running program and leaves that alone', async () => {
  await opened.announceApi('http://127.0.0.1:8080');
  expect(await readRunFile(dataDir)).toMatchObject({ pid: process.pid, apiUrl: 'http://127.0.0.1:8080' });
  const command = await openRunning({ dataDir, telemetry, database: 'millrace' });
  expect(await command.store.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect(command.connection.url).toBe(opened.connection.url);
  await command.close();
  expect(await opened.store.ping()).toBe(true);
  expect(telemetry.count('store_started')).toBe(1);
});

test('a second program on the data directory is refused', async () => {
  const second = openStore({ dataDir, telemetry, database: 'millrace' });
  await expect(second).rejects.toMatchObject({ code: 'data_dir_in_use' });
});

test('a connection can be handed to another client of the program', async () => {
  const other = createStore(opened.connection);
  expect(await other.query('SELECT currentDatabase() AS name')).toEqual([{ name: 'millrace' }]);
  await other.close();
});

test('a command starts the server when no program runs, and ends it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-alone-'));
  const alone = await openRunning({ dataDir: folder, telemetry, database: 'other_name', isFsync: true });
  expect(await alone.store.query('SELECT count() AS c FROM logs')).toEqual([{ c: 0 }]);
  const [row] = await alone.store.query<{ engine: string }>(
    `SELECT engine_full AS engine FROM system.tables WHERE database = 'other_name' AND name = 'logs'`,
  );
  expect(row?.engine).toContain('fsync_after_insert = 1');
  await alone.close();
  expect(await alone.store.ping()).toBe(false);
  expect(await readRunFile(folder)).toBeUndefined();
  await rm(folder, { recursive: true, force: true });
});

test('an external server is used by its address, with a database of its own', async () => {
  // The same real server, reached through a proxy that adds the key, as one without a key would be.
  const { url, headers } = opened.connection;
  const proxy = createServer((incoming, answer) => {
    const onward = request(
      url + (incoming.url ?? ''),
      { method: incoming.method, headers: { ...incoming.headers, ...headers } },
      (response) => {
        answer.writeHead(response.statusCode ?? 502, response.headers);
        response.pipe(answer);
      },
    );
    incoming.pipe(onward);
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const external = await openStore({ dataDir, telemetry, database: 'elsewhere', url: address });
  expect(await external.store.query('SELECT count() AS c FROM logs')).toEqual([{ c: 0 }]);
  await external.close();
  await opened.store.command('DROP DATABASE elsewhere');

  const wrong = openStore({ dataDir, telemetry, database: 'elsewhere', url: address, password: 'hunter2' });
  const failure = await wrong.catch((error: unknown) => error);
  expect(failure).toMatchObject({ name: 'MillraceError' });
  expect(String(failure)).not.toContain('hunter2');
  proxy.closeAllConnections();
  proxy.close();
});

test.each(['', 'a-b', 'a.b', '1a', 'a b', "a'"])('database name %j is refused', async (database) => {
  const open = openStore({ dataDir, telemetry, database, url: opened.connection.url });
  await expect(open).rejects.toMatchObject({ code: 'config_invalid' });
});

test('the free space of the store is that of its disk', async () => {
  const free = await readFreeDiskBytes(opened.store);
  expect(free).toBeGreaterThan(1e6);
  expect(free).toBeLessThan(1e15);
});
