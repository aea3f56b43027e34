/**
 * Two `millrace api` beside an `up` that stores, as processes of their own on one external ClickHouse: what one of
 * them knows or gives, the other does too.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiKeyTable } from '../../src/api/api-keys/api-keys.ts';
import { createUsers } from '../../src/api/auth/users.ts';
import type { Described } from '../../src/api/openapi/reference-page.ts';
import {
  type Asker,
  addKeys,
  logInAll,
  prepareMatrix,
  readOperations,
  walkMatrix,
} from '../api/role-matrix.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type KeyedProxy, startKeyedProxy } from '../support/keyed-proxy.ts';
import { type Program, startProgram } from '../support/program.ts';
import { TailClient } from '../support/tail-client.ts';
import { until } from '../support/until.ts';

/** Everything is asked of one address by few users. */
const NO_LIMITS = { RATE_REQUESTS: '0', RATE_ANONYMOUS: '0' };

let clickhouse: TestClickHouse;
let proxy: KeyedProxy;
let directory: string;
const programs: Program[] = [];
let one: Program;
let two: Program;
let storing: Program;
let keys: readonly Asker[];
let operations: readonly Described[];

async function start(command: 'up' | 'api', name: string, server: 'uws' | 'node'): Promise<Program> {
  const settings = { CLICKHOUSE_URL: proxy.url, HTTP_SERVER: server, ...NO_LIMITS };
  const program = await startProgram({ command, dataDir: join(directory, name), settings });
  programs.push(program);
  await program.ready();
  return program;
}

beforeAll(async () => {
  clickhouse = await startClickHouse();
  proxy = await startKeyedProxy(clickhouse.connection);
  directory = await mkdtemp(join(tmpdir(), 'millrace-api-'));
  await prepareMatrix(clickhouse.store, createUsers(clickhouse.store));
  one = await start('api', 'one', 'uws');
  two = await start('api', 'two', 'node');
  storing = await start('up', 'storing', 'uws');
  keys = await addKeys(new ApiKeyTable(clickhouse.store));
  operations = await readOperations(one.apiUrl);
}, 120_000);

afterAll(async () => {
  for (const program of programs) await program.kill();
  await proxy.stop();
  await clickhouse.stop();
  await rm(directory, { recursive: true });
});

it('they describe the same, and nothing that takes logs', async () => {
  expect(await readOperations(two.apiUrl)).toEqual(operations);
  const inUp = await readOperations(storing.apiUrl);
  const missing = inUp.filter(({ operation }) =>
    operations.every((other) => other.operation.operationId !== operation.operationId),
  );
  expect(missing.map(({ method, path }) => `${method} ${path}`).toSorted()).toEqual([
    'POST /log',
    'POST /logs',
  ]);
});

describe.each([
  { name: 'the first', at: () => one, issuer: () => one, versioned: '' },
  { name: 'the second with tokens of the first', at: () => two, issuer: () => one, versioned: '/api/v1' },
  { name: 'the first with tokens of the second', at: () => one, issuer: () => two, versioned: '/api/v1' },
])('at $name', ({ at, issuer, versioned }) => {
  it('every role is given what is its own on every route', async () => {
    const askers = [...(await logInAll(issuer().apiUrl)), ...keys];
    const { wrong, cells, marked } = await walkMatrix({ base: at().apiUrl, versioned, operations, askers });
    expect(wrong).toEqual([]);
    expect(cells).toBe(operations.length * 16);
    expect(marked).toBeGreaterThanOrEqual(15);
  }, 120_000);
});

it('a tail at one of them shows what another program stores', async () => {
  const [admin] = await logInAll(two.apiUrl);
  const tail = await TailClient.open(`${one.apiUrl}/logs/tail?service=told`, { ...admin?.headers });
  tail.read();
  try {
    const posted = await storing.post('/logs', '{"service":"told","message":"across programs"}');
    expect(posted.status).toBe(200);
    await until(() => tail.messages.length > 0, { timeoutMs: 20_000 });
    expect(tail.messages).toEqual(['across programs']);
  } finally {
    await tail.close();
  }
});

it('who is switched off at one is refused by the other within a minute', async () => {
  const admin = (await logInAll(one.apiUrl)).find(({ name }) => name === 'admin');
  const headers = { ...admin?.headers, 'Content-Type': 'application/json' };
  const viewer = (await logInAll(one.apiUrl)).find(({ name }) => name === 'viewer');
  const ask = async (): Promise<number> =>
    (await fetch(`${two.apiUrl}/logs?limit=1`, { headers: viewer?.headers ?? {} })).status;
  expect(await ask()).toBe(200);
  const body = JSON.stringify({ disabled: true });
  const changed = await fetch(`${one.apiUrl}/users/viewer`, { method: 'PATCH', headers, body });
  expect(changed.status).toBe(200);
  await until(async () => (await ask()) === 401, { timeoutMs: 60_000, intervalMs: 500 });
}, 70_000);

it('without ClickHouse they say so, and are ready again with it', async () => {
  clickhouse.freeze();
  try {
    await until(async () => (await one.problems()).includes('clickhouse_unavailable'), { timeoutMs: 60_000 });
  } finally {
    clickhouse.thaw();
  }
  await until(async () => (await one.problems()).length === 0, { timeoutMs: 30_000 });
  expect((await one.probe('/readyz')).status).toBe(200);
}, 100_000);

it('told to stop it ends at once', async () => {
  const toldAt = performance.now();
  two.signal('SIGTERM');
  expect(await two.exited).toEqual({ code: 0, signal: null });
  expect(performance.now() - toldAt).toBeLessThan(5000);
});
