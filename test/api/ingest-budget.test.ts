/**
 * Bodies under way, with the sizes and the budget that a program has by default.
 */
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { apiSettings } from '../../src/commands/api-settings.ts';
import { loadConfig } from '../../src/config.ts';
import type { OpenedStore } from '../../src/store/open-store.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type ApiFixture, SERVERS, startApi } from './api-fixture.ts';
import { openRaw, type RawConnection } from './http/raw-client.ts';

const MIB = 1_048_576;
const DEFAULTS = settingsOf({});
const MAX_BODY_BYTES = DEFAULTS.maxBodyBytes;
const INGEST_BYTES = 1000 * MIB;
const QUOTAS = {
  requestsPerMinute: 0,
  rowsPerMinute: 0,
  ingestBytesPerMinute: INGEST_BYTES,
  anonymousPerMinute: 0,
  streamsPerUser: 0,
};

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
});

afterAll(async () => {
  await clickhouse.stop();
});

describe('the budget for bodies', () => {
  it.each([10, 32, 48, 96])('holds the largest body of %i MiB, encoded and decoded', (mib) => {
    const { bodyBudgetBytes } = settingsOf({ MAX_BODY_BYTES: mib * MIB });
    expect(bodyBudgetBytes).toBeGreaterThanOrEqual(2 * mib * MIB);
    expect(bodyBudgetBytes).toBeLessThanOrEqual(192 * MIB);
  });
});

describe.each(SERVERS)('bodies under way on %s', (kind) => {
  let api: ApiFixture;
  const held: RawConnection[] = [];

  beforeAll(async () => {
    api = await startApi(kind, clickhouse.store, {
      maxBodyBytes: MAX_BODY_BYTES,
      bodyBudgetBytes: DEFAULTS.bodyBudgetBytes,
      quotas: QUOTAS,
    });
    await api.token('writer');
    await api.token('admin');
  });

  afterEach(async () => {
    for (const raw of held.splice(0)) raw.destroy();
    await vi.waitUntil(() => api.server.inFlightCount === 0);
    api.ingest.bodies.length = 0;
  });

  afterAll(async () => {
    await api.stop();
  });

  const headersFor = async (role: 'writer' | 'admin', more: Record<string, string> = {}) => ({
    Authorization: `Bearer ${await api.token(role)}`,
    'Content-Type': 'text/plain',
    ...more,
  });

  const post = async (role: 'writer' | 'admin', body: string | Uint8Array<ArrayBuffer>, more = {}) =>
    await fetch(`${api.base}/logs`, { method: 'POST', headers: await headersFor(role, more), body });

  /** A body of declared length, of which only the first bytes come. */
  const stall = async (role: 'writer' | 'admin', sentBytes: number): Promise<RawConnection> => {
    const raw = await openRaw(api.port);
    held.push(raw);
    const fields = { Host: 'a', ...(await headersFor(role)), 'Content-Length': String(MAX_BODY_BYTES) };
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
    raw.send(`POST /logs HTTP/1.1\r\n${lines.join('')}\r\n`);
    raw.send('x'.repeat(sentBytes));
    await expect.poll(() => raw.socket.writableLength).toBe(0);
    return raw;
  };

  const usedBytes = async (role: 'writer' | 'admin'): Promise<number> => {
    const left = /"ingest";r=(\d+)/.exec((await post(role, 'x')).headers.get('ratelimit') ?? '');
    return INGEST_BYTES - Number(left?.[1]);
  };

  it('takes an encoded body without a length', async () => {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(gzipSync('hello'));
        controller.close();
      },
    });
    const headers = await headersFor('writer', { 'Content-Encoding': 'gzip' });
    const options = { method: 'POST', headers, body, duplex: 'half' };
    expect((await fetch(`${api.base}/logs`, options as RequestInit)).status).toBe(200);
    expect(api.ingest.bodies.map(({ text }) => text)).toEqual(['hello']);
  });

  it('takes small encoded bodies at once', async () => {
    const gzip = { 'Content-Encoding': 'gzip' };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post('writer', gzipSync('hello'), gzip)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });

  it('takes the largest body in its largest form', async () => {
    const body = gzipSync(randomBytes(MAX_BODY_BYTES - 8192), { level: 0 });
    expect(body.byteLength).toBeGreaterThan(MAX_BODY_BYTES - 8192);
    const answer = await post('writer', new Uint8Array(body), { 'Content-Encoding': 'gzip' });
    expect(answer.status).toBe(200);
  });

  it('holds nothing for what is declared, and charges what came of a body that breaks off', async () => {
    const before = await usedBytes('writer');
    const stalled = await Promise.all(Array.from({ length: 8 }, () => stall('writer', MIB)));
    expect((await post('writer', 'x')).status).toBe(200);
    expect((await post('admin', 'x')).status).toBe(200);
    for (const raw of stalled) raw.destroy();
    await expect.poll(() => api.server.inFlightCount).toBe(0);
    const charged = (await usedBytes('writer')) - before;
    expect(charged).toBeGreaterThanOrEqual(8 * MIB);
    expect(charged).toBeLessThan(8.1 * MIB);
  });

  it('gives one user a part of it only', async () => {
    await Promise.all([stall('writer', MAX_BODY_BYTES - 1), stall('writer', MAX_BODY_BYTES - 1)]);
    await expect.poll(async () => (await post('writer', 'xxx')).status, { timeout: 5000 }).toBe(429);
    const refused = await post('writer', 'xxx');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await post('admin', 'x'.repeat(MAX_BODY_BYTES))).status).toBe(200);
    for (const raw of held.splice(0)) raw.destroy();
    await expect.poll(() => api.server.inFlightCount).toBe(0);
    expect((await post('writer', 'x')).status).toBe(200);
  });
});

function settingsOf(flags: Readonly<Record<string, unknown>>) {
  const { config } = loadConfig({ flags, env: {} });
  const opened = { connection: { url: 'http://localhost', database: 'millrace' } } as OpenedStore;
  return apiSettings(config, { opened, letterKeys: [], cursorSecret: new Uint8Array() });
}
