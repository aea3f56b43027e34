/** SIGTERM while `process` starts: it has taken nothing, and ends with 0. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Program, startProgram } from '../support/program.ts';
import { until } from '../support/until.ts';

/** The grace of a start, and what a busy machine adds. */
const SOON_MS = 15_000;
/** Nobody listens there. */
const NO_KAFKA = '127.0.0.1:1';

let dataDir = '';
let program: Program | undefined;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-early-'));
});
afterEach(async () => {
  await program?.kill();
  await rm(dataDir, { recursive: true, force: true });
});

async function start(settings: Readonly<Record<string, string>>): Promise<Program> {
  const common = { KAFKA_BROKERS: NO_KAFKA, ADMIN_PORT: '0' };
  program = await startProgram({ command: 'process', dataDir, settings: { ...common, ...settings } });
  return program;
}

/** Opens a named pipe for writing as soon as somebody reads it. */
async function openRead(path: string): Promise<FileHandle> {
  let file: FileHandle | undefined;
  await until(
    async () => {
      file = await open(path, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined);
      return file !== undefined;
    },
    { seen: () => program?.printed },
  );
  return file!;
}

describe('SIGTERM', { timeout: 120_000 }, () => {
  test('while it reads its settings', async () => {
    const secret = join(dataDir, 'password');
    execFileSync('mkfifo', [secret]);
    const early = await start({
      CLICKHOUSE_URL: 'http://127.0.0.1:1',
      CLICKHOUSE_PASSWORD_FILE: secret,
    });
    const file = await openRead(secret);
    early.signal('SIGTERM');
    await file.writeFile('secret');
    await file.close();
    expect(await early.exited).toEqual({ code: 0, signal: null });
  });

  test('while ClickHouse does not answer', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    try {
      const { port } = silent.address() as AddressInfo;
      const waiting = await start({ CLICKHOUSE_URL: `http://127.0.0.1:${port}` });
      await until(() => sockets.length > 0, { seen: () => waiting.printed });
      const toldAt = Date.now();
      waiting.signal('SIGTERM');
      expect(await waiting.exited).toEqual({ code: 0, signal: null });
      expect(Date.now() - toldAt).toBeLessThan(SOON_MS);
    } finally {
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  });
});
