/**
 * The API thread as the program starts it: a real thread, both servers, real ClickHouse, a main side of our own.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createUsers } from '../../src/api/auth/users.ts';
import type { ApiSettings } from '../../src/pipeline/api-protocol.ts';
import { ApiThread } from '../../src/pipeline/api-thread.ts';
import { workerFile } from '../../src/worker-file.ts';
import { RecordingTelemetry, startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { TEST_LETTER_KEY } from '../support/letters.ts';
import { PASSWORD, RecordingIngest, SERVERS, SettableStatus } from './api-fixture.ts';

let clickhouse: TestClickHouse;
let keysDir = '';

beforeAll(async () => {
  clickhouse = await startClickHouse();
  keysDir = mkdtempSync(join(tmpdir(), 'millrace-keys-'));
  await createUsers(clickhouse.store).ensureAdmin(PASSWORD);
});

afterAll(async () => {
  rmSync(keysDir, { recursive: true });
  await clickhouse.stop();
});

function settingsFor(server: ApiSettings['server']): ApiSettings {
  return {
    host: '127.0.0.1',
    port: 0,
    server,
    keysDir,
    keyRotationMs: 86_400_000,
    letterKeys: [TEST_LETTER_KEY],
    cursorSecret: new Uint8Array(32),
    maxBodyBytes: 1_000_000,
    bodyBudgetBytes: 10_000_000,
    requestDeadlineMs: 5000,
    store: clickhouse.connection,
  };
}

describe.each(SERVERS)('API thread with %s', (kind) => {
  const ingest = new RecordingIngest();
  const status = new SettableStatus();
  let telemetry = new RecordingTelemetry();
  let thread: ApiThread;
  let worker: Worker;
  let base = '';

  const start = async (): Promise<void> => {
    process.once('worker', (started) => {
      worker = started;
    });
    telemetry = new RecordingTelemetry();
    thread = new ApiThread(settingsFor(kind), { ingest, status, telemetry });
    const { port, server } = await thread.start();
    expect(server).toBe(kind);
    base = `http://127.0.0.1:${port}`;
  };

  const login = async (): Promise<string> => {
    const answer = await fetch(`${base}/auth/login`, {
      method: 'POST',
      body: JSON.stringify({ username: 'admin', password: PASSWORD }),
      headers: { 'Content-Type': 'application/json' },
    });
    const { access_token: token } = (await answer.json()) as { access_token: string };
    return token;
  };

  afterEach(async () => {
    await thread.stop(1000);
  });

  it('moves bodies to the main thread and answers from there', async () => {
    await start();
    const headers = { Authorization: `Bearer ${await login()}`, 'Content-Type': 'text/plain' };
    const answer = await fetch(`${base}/logs`, { method: 'POST', headers, body: 'line' });
    expect(await answer.json()).toEqual({ accepted: 1, rejected: [] });
    expect(ingest.bodies).toContainEqual({ text: 'line', format: 'text' });
    const page = await fetch(`${base}/logs`, { headers });
    expect(page.status).toBe(200);
    status.snapshots.readiness = { problems: [{ reason: 'starting', detail: 'soon', since: 0 }] };
    expect((await fetch(`${base}/readyz`)).status).toBe(503);
    status.isSilent = true;
    expect((await fetch(`${base}/readyz`)).status).toBe(503);
    status.isSilent = false;
    status.snapshots.readiness = { problems: [] };
    await sleep(300);
    expect((await fetch(`${base}/readyz`)).status).toBe(200);
  });

  it('lets a request under way end when it stops', async () => {
    await start();
    const headers = { Authorization: `Bearer ${await login()}`, 'Content-Type': 'text/plain' };
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const submit = ingest.submit.bind(ingest);
    const taken = new Promise<void>((resolve) => {
      ingest.submit = async (body, format) => {
        resolve();
        await held;
        return await submit(body, format);
      };
    });
    const running = fetch(`${base}/logs`, { method: 'POST', headers, body: 'held' });
    await taken;
    const stopping = thread.stop(3000);
    setTimeout(release, 100);
    expect((await running).status).toBe(200);
    await stopping;
    await expect(fetch(base)).rejects.toThrow();
    ingest.submit = submit;
  });

  it('refuses a port that is taken, with the reason', async () => {
    await start();
    const second = new ApiThread(
      { ...settingsFor(kind), port: thread.address?.port ?? 0 },
      { ingest, status, telemetry },
    );
    await expect(second.start()).rejects.toMatchObject({ code: 'address_unavailable' });
  });

  it('is started again on its port when it dies, with its clients told', async () => {
    await start();
    const headers = { Authorization: `Bearer ${await login()}` };
    ingest.submit = () => new Promise(() => undefined);
    const cut = fetch(`${base}/logs`, { method: 'POST', headers, body: 'lost' }).catch(
      (error: Error) => error,
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    // A message against the protocol throws in the thread, where nothing catches it.
    worker.postMessage({ kind: 'snapshot_answer', id: 1 }, []);
    expect(await cut).toBeInstanceOf(Error);
    const endMs = Date.now() + 10_000;
    let answer: Response | undefined;
    while (answer === undefined && Date.now() < endMs) {
      answer = await fetch(`${base}/livez`).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(answer?.status).toBe(200);
    expect(telemetry.count('worker_died')).toBe(1);
    // Keys are in files: tokens outlive the thread.
    expect((await fetch(`${base}/auth/me`, { headers })).status).toBe(200);
  });
});

describe('the end of the process', () => {
  it.each([
    ['process.exit', 'process.exit(7);', 7],
    ['an uncaught error', "throw new Error('boom');", 1],
  ])('by %s is not an abort while uWebSockets.js listens', (_name, end, code) => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-exit-'));
    const script = join(directory, 'exit.mts');
    const module = new URL('../../src/pipeline/api-thread.ts', import.meta.url).href;
    const settings = JSON.stringify({ ...settingsFor('uws'), keysDir: join(directory, 'keys') });
    writeFileSync(
      script,
      `import { ApiThread } from ${JSON.stringify(module)};
       const thread = new ApiThread({ ...${settings}, letterKeys: [new Uint8Array(32)], cursorSecret: new Uint8Array(32) }, {});
       const { port } = await thread.start();
       await fetch('http://127.0.0.1:' + port + '/livez');
       process.stdout.write('listened');
       setTimeout(() => { ${end} }, 10);`,
    );
    const { execArgv } = workerFile('api-server');
    const result = spawnSync(process.execPath, [...execArgv, script], { encoding: 'utf8', timeout: 20_000 });
    expect([result.stdout, result.status, result.signal]).toEqual(['listened', code, null]);
    rmSync(directory, { recursive: true });
  });
});
