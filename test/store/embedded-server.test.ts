import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { isProcessAlive } from '../../src/store/embedded/data-dir-owner.ts';
import { EmbeddedServer } from '../../src/store/embedded/embedded-server.ts';
import { findEngineLibrary } from '../../src/store/embedded/engine-library.ts';
import { RecordingTelemetry, startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';

async function waitUntil(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(20);
  }
}

let clickhouse: TestClickHouse;
const folders: string[] = [];
const parents: ChildProcess[] = [];

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-embedded-'));
  folders.push(folder);
  return folder;
}

/** Starts a program that owns an embedded server; resolves with what it prints. */
async function startParent(dataDir: string): Promise<{ pid: number; serverPid: number; port: number }> {
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const script = fileURLToPath(new URL('../support/store-parent.ts', import.meta.url));
  const parent = spawn(process.execPath, ['--import', loader, script, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  parents.push(parent);
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  return JSON.parse(line.toString());
}

beforeAll(async () => {
  clickhouse = await startClickHouse({ isMigrated: false });
});

afterEach(async () => {
  for (const parent of parents.splice(0)) parent.kill('SIGKILL');
  for (const folder of folders.splice(0)) {
    await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
});

afterAll(async () => {
  await clickhouse.stop();
});

describe('the embedded server', () => {
  test('answers requests that carry the key and 404 to all others', async () => {
    const { server, store } = clickhouse;
    expect(await store.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    const paths = ['/ping', '/?query=SELECT%201', '/play', '/replicas_status', '/'];
    for (const headers of [{}, { ...server.headers, 'x-millrace-key': 'wrong' }]) {
      const answers = await Promise.all(paths.map((path) => fetch(server.url + path, { headers })));
      expect(answers.map(({ status }) => status)).toEqual(paths.map(() => 404));
    }
  });

  test('leaves no copy of its configuration in the data directory', async () => {
    expect((await readdir(clickhouse.dataDir)).toSorted()).toEqual(['clickhouse', 'log']);
  });

  test('comes back on the same port with its data after SIGKILL', async () => {
    const { server, store, telemetry } = clickhouse;
    await store.command('CREATE TABLE kept (n UInt64) ENGINE = MergeTree ORDER BY n');
    await store.command('INSERT INTO kept SELECT number FROM numbers(1000)');
    const { pid, url } = server;
    clickhouse.kill();
    await waitUntil(() => server.isRunning && server.pid !== pid, 'the server is back');
    expect(server.url).toBe(url);
    expect(await store.query('SELECT count() AS c FROM kept')).toEqual([{ c: 1000 }]);
    expect(telemetry.count('store_exited')).toBe(1);
    expect(telemetry.count('store_started')).toBe(2);
  });

  test('is ended by stop() for good', async () => {
    const telemetry = new RecordingTelemetry();
    const server = new EmbeddedServer({ dataDir: await newFolder(), telemetry });
    await server.start();
    const { pid } = server;
    await server.stop();
    expect(isProcessAlive(pid)).toBe(false);
    await sleep(300);
    expect(telemetry.count('store_started')).toBe(1);
    expect(telemetry.count('store_exited')).toBe(0);
  });

  test('dies with its parent, even when that is killed', async () => {
    const { pid, serverPid } = await startParent(await newFolder());
    expect(isProcessAlive(serverPid)).toBe(true);
    process.kill(pid, 'SIGKILL');
    await waitUntil(() => !isProcessAlive(serverPid), 'the orphan is gone');
  });

  test('takes over the directory of a program that was killed', async () => {
    const dataDir = await newFolder();
    const { pid } = await startParent(dataDir);
    process.kill(pid, 'SIGKILL');
    const server = new EmbeddedServer({ dataDir, telemetry: new RecordingTelemetry() });
    await server.start();
    expect(server.isRunning).toBe(true);
    await server.stop();
  });

  test('refuses a directory that another program owns, and names its pid', async () => {
    const dataDir = await newFolder();
    const { pid, serverPid } = await startParent(dataDir);
    const second = new EmbeddedServer({ dataDir, telemetry: new RecordingTelemetry() });
    const failure = await second.start().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'data_dir_in_use' });
    expect(String(failure)).toContain(`process ${pid};`);
    expect(isProcessAlive(serverPid)).toBe(true);
  });

  test('lets one of two programs that start together have the directory', async () => {
    const dataDir = await newFolder();
    const servers = [1, 2].map(() => new EmbeddedServer({ dataDir, telemetry: new RecordingTelemetry() }));
    const outcomes = await Promise.allSettled(servers.map((server) => server.start()));
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    const refused = outcomes.find((outcome) => outcome.status === 'rejected');
    expect(refused?.reason).toMatchObject({ code: 'data_dir_in_use' });
    for (const server of servers) await server.stop();
  });

  test('is killed and given up after three starts without an answer', async () => {
    const dataDir = await newFolder();
    const server = new EmbeddedServer({ dataDir, telemetry: new RecordingTelemetry(), startTimeoutMs: 1 });
    const failure = await server.start().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'store_unavailable' });
    expect(String(failure)).toContain('no answer within 1 ms');
    expect((await readdir(dataDir)).filter((name) => name.startsWith('starting-'))).toEqual([]);
  });

  test('says why when it exits again and again', async () => {
    const telemetry = new RecordingTelemetry();
    const server = new EmbeddedServer({ dataDir: await newFolder(), telemetry });
    await server.start();
    for (let exits = 1; exits <= 4; exits += 1) {
      const { pid } = server;
      process.kill(pid, 'SIGKILL');
      await waitUntil(() => !server.isRunning, 'its death is noticed');
      expect(server.lastProblem).toContain(`(${exits} in a row): "exit SIGKILL"`);
      if (exits < 4) await waitUntil(() => server.isRunning, 'it is back');
    }
    expect(telemetry.count('store_exited')).toBe(3);
    expect(telemetry.count('store_crash_loop')).toBe(1);
    await server.stop();
  });
});

describe('findEngineLibrary', () => {
  test('finds the library of this platform', () => {
    expect(findEngineLibrary()).toMatch(/libchdb/);
  });

  const cases = [
    { os: 'win32', arch: 'x64', hasGlibc: true, why: 'win32 has no build' },
    { os: 'linux', arch: 'x64', hasGlibc: false, why: 'musl' },
    { os: 'linux', arch: 'riscv64', hasGlibc: true, why: 'no build for linux on riscv64' },
  ];
  test.each(cases)('refuses $os on $arch in one sentence with the alternative', ({ why, ...platform }) => {
    const find = (): string => findEngineLibrary(platform);
    expect(find).toThrow(why);
    expect(find).toThrow(/^[^.]*set CLICKHOUSE_URL to[^.]*\.$/);
  });
});
