/**
 * A real Chromium shows a page of another origin that logs in, pages through logs, changes a user under an ETag and
 * follows a live tail. A page of an origin that is not in CORS_ORIGINS gets nothing.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Program, startProgram } from '../../support/program.ts';
import { skipHere } from '../../support/skip-here.ts';
import { until } from '../../support/until.ts';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));
const PAGE = readFileSync(new URL('page.html', import.meta.url));
const LOGS = 5;
const SHOWN_MS = 60_000;

let directory: string;
let site: Server;
let port: number;
let seen: unknown;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-browser-'));
  site = createServer((request, answer) => {
    if (request.method === 'POST') void keep(request, answer);
    else answer.setHeader('Content-Type', 'text/html').end(PAGE);
  }).listen(0, '127.0.0.1');
  await once(site, 'listening');
  ({ port } = site.address() as AddressInfo);
});

afterAll(async () => {
  site.close();
  await rm(directory, { recursive: true, force: true });
});

async function keep(request: IncomingMessage, answer: ServerResponse): Promise<void> {
  seen = JSON.parse(await text(request));
  answer.end();
}

/** What the page says that it saw. */
async function show(page: URL, chromium: string): Promise<unknown> {
  seen = undefined;
  const profile = await mkdtemp(join(directory, 'profile-'));
  const flags = [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    `--user-data-dir=${profile}`,
  ];
  // Started as a group, since it has many processes.
  const browser = spawn(chromium, [...flags, page.href], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  browser.stderr.on('data', (piece: Buffer) => {
    said = (said + piece.toString()).slice(-2000);
  });
  try {
    await until(() => seen !== undefined, { timeoutMs: SHOWN_MS, seen: () => said });
    return seen;
  } finally {
    await end(browser);
  }
}

async function end(browser: ChildProcess): Promise<void> {
  if (browser.exitCode !== null || browser.signalCode !== null || browser.pid === undefined) return;
  const closed = once(browser, 'close');
  process.kill(-browser.pid, 'SIGKILL');
  await closed;
}

describe.each(['uws', 'node'] as const)('at the server %s', (server) => {
  let up: Program;

  beforeAll(async () => {
    const settings = {
      HTTP_SERVER: server,
      CORS_ORIGINS: `http://localhost:${port}`,
      ADMIN_PASSWORD: 'correct horse battery',
    };
    up = await startProgram({ dataDir: join(directory, server), settings });
    await up.ready();
    const logs = Array.from({ length: LOGS }, (_, i) => ({ service: 'paged', message: `log ${i}` }));
    const { status } = await up.post('/logs', JSON.stringify(logs), { 'Content-Type': 'application/json' });
    if (status !== 200) throw new Error(`POST /logs: ${status}`);
  }, 60_000);

  afterAll(async () => {
    await up.kill();
  });

  const pageAt = (host: string): URL =>
    new URL(`http://${host}:${port}/?api=${encodeURIComponent(up.apiUrl)}`);

  it('a page of an allowed origin can do all that a dashboard does', async (context) => {
    if (CHROMIUM === undefined) skipHere(context, 'there is no Chromium: apt-get install chromium');
    expect(await show(pageAt('localhost'), CHROMIUM)).toEqual({
      login: 200,
      exposed: ['link', 'ratelimit', 'ratelimit-policy', 'x-request-id'],
      rows: LOGS,
      made: 201,
      changed: [200, 'analyst', true],
      late: 412,
      posted: 200,
      tail: 'from a browser',
    });
  }, 90_000);

  it('a page of another origin is not even told that it may not log in', async (context) => {
    if (CHROMIUM === undefined) skipHere(context, 'there is no Chromium: apt-get install chromium');
    expect(await show(pageAt('127.0.0.1'), CHROMIUM)).toEqual({ error: 'TypeError: Failed to fetch' });
  }, 90_000);
});
