/**
 * Many clients of the live tail of a running `up`, while events come in over HTTP: how late they are told, and what
 * that costs.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startCli } from '../support/cli.ts';
import type { TestClickHouse } from '../support/clickhouse.ts';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.ts';
import { TailClient } from '../support/tail-client.ts';
import { until } from '../support/until.ts';

export interface TailLoad {
  readonly clients: number;
  readonly filters: number;
  /** Posted each 100 ms, one log for each filter among them. */
  readonly logsPerPost: number;
  readonly posts: number;
}

export interface TailFigures {
  /** From just before the post to when the client has the event, of all events of all clients, ascending. */
  readonly delaysMs: readonly number[];
  /** Events that clients lacked or had twice, gaps included. */
  readonly wrongCount: number;
  /** Queries on `logs` while events flowed. */
  readonly queryCount: number;
  readonly residentBefore: number;
  readonly residentAfter: number;
}

const PASSWORD = 'correct horse battery';
const POST_MS = 100;
const PATIENCE = { timeoutMs: 60_000 };

export async function measureTails(clickhouse: TestClickHouse, load: TailLoad): Promise<TailFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tails-'));
  const proxy = await startCountingProxy(clickhouse.connection);
  const settings = [
    '--http-port',
    '0',
    '--min-free-disk-mb',
    '0',
    '--streams-per-user',
    String(load.clients),
  ];
  const up = startCli(['up', '--data-dir', folder, ...settings], {
    MILLRACE_ADMIN_PASSWORD: PASSWORD,
    MILLRACE_CLICKHOUSE_URL: proxy.url,
    MILLRACE_CLICKHOUSE_DATABASE: clickhouse.connection.database ?? '',
  });
  try {
    const banner = await up.waitFor('Ctrl-C stops it');
    const url = /Millrace is ready +(\S+)/.exec(banner)?.[1] ?? '';
    return await measure(url, proxy, load);
  } finally {
    await up.stop();
    await proxy.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(url: string, { logQueries }: CountingProxy, load: TailLoad): Promise<TailFigures> {
  const headers = { Authorization: `Bearer ${await login(url)}`, 'Content-Type': 'application/x-ndjson' };
  const clients = await Promise.all(
    Array.from({ length: load.clients }, (_, i) => openClient(url, `s${i % load.filters}`, headers)),
  );
  const post = async (count: number, isMeasured: boolean): Promise<void> => {
    const lines = Array.from({ length: count }, (_, i) => {
      const service = i < load.filters && isMeasured ? `s${i}` : 'other';
      return JSON.stringify({ service, message: 'told', level: 'info', metadata: { sent: `${Date.now()}` } });
    });
    const answer = await fetch(`${url}/logs`, { method: 'POST', headers, body: lines.join('\n') });
    if (!answer.ok) throw new Error(await answer.text());
  };
  await post(load.logsPerPost, false);
  const residentBefore = await residentBytes(url, headers);
  const queriesBefore = logQueries.length;
  for (let i = 0; i < load.posts; i++) {
    await Promise.all([post(load.logsPerPost, true), delay(POST_MS)]);
  }
  await until(() => clients.every(({ told }) => told.length >= load.posts), PATIENCE).catch(() => undefined);
  const queryCount = logQueries.length - queriesBefore;
  const residentAfter = await residentBytes(url, headers);
  await Promise.all(clients.map(({ client }) => client.close()));
  return {
    delaysMs: clients.flatMap(({ told }) => told).toSorted((a, b) => a - b),
    wrongCount: clients.reduce((sum, { client, told }) => sum + wrongIn(client, told.length, load.posts), 0),
    queryCount,
    residentBefore,
    residentAfter,
  };
}

function wrongIn(client: TailClient, toldCount: number, expected: number): number {
  const ids = new Set(client.of('log').map(({ id }) => id as string));
  return Math.abs(toldCount - expected) + (toldCount - ids.size) + client.of('gap').length;
}

async function openClient(url: string, service: string, headers: Readonly<Record<string, string>>) {
  const told: number[] = [];
  const client = await TailClient.open(`${url}/logs/tail?service=${service}`, headers, ({ name, data }) => {
    if (name === 'log') told.push(Date.now() - Number(data['metadata'].sent));
  });
  client.read();
  await until(() => client.lastId !== '', PATIENCE);
  return { client, told };
}

async function login(url: string): Promise<string> {
  const body = JSON.stringify({ username: 'admin', password: PASSWORD });
  const headers = { 'Content-Type': 'application/json' };
  const answer = await fetch(`${url}/auth/login`, { method: 'POST', headers, body });
  return ((await answer.json()) as { access_token: string }).access_token;
}

async function residentBytes(url: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const text = await (await fetch(`${url}/metrics`, { headers })).text();
  return Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1]);
}
