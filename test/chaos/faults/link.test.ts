import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Link, startLink } from './link.ts';

let echo: Server;
let link: Link;
const sockets: Socket[] = [];
beforeEach(async () => {
  echo = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  link = await startLink(1);
  link.connectTo((echo.address() as AddressInfo).port);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await link.stop();
  echo.close();
});

async function client(): Promise<Socket> {
  const socket = connect({ port: link.port, host: '127.0.0.1' });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** `once` would reject on the error that comes before it. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}

/** Sends and waits for as many bytes to come back; undefined when they do not come within `timeoutMs`. */
async function roundTrip(socket: Socket, bytes: Buffer, timeoutMs = 5000): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let length = 0;
  const back = new Promise<Buffer>((resolve) => {
    socket.on('data', (part: Buffer) => {
      parts.push(part);
      length += part.length;
      if (length >= bytes.length) resolve(Buffer.concat(parts));
    });
  });
  socket.write(bytes);
  const answer = await Promise.race([back, delay(timeoutMs)]);
  socket.removeAllListeners('data');
  return answer ?? undefined;
}

describe('a link', () => {
  test('passes what it is given, and an end as an end', async () => {
    const socket = await client();
    const bytes = Buffer.from(Array.from({ length: 500_000 }, (_, i) => i % 251));
    expect((await roundTrip(socket, bytes))?.equals(bytes)).toBe(true);
    socket.end();
    socket.resume();
    await once(socket, 'end');
    expect(link.counts).toEqual({ accepted: 1, reset: 0, halfOpen: 0 });
  });

  test('is as slow as it is told', async () => {
    link.set({ bytesPerSecond: 400_000, latencyMs: 20 });
    const socket = await client();
    const beginMs = performance.now();
    const bytes = Buffer.alloc(100_000, 7);
    expect((await roundTrip(socket, bytes))?.equals(bytes)).toBe(true);
    const elapsedMs = performance.now() - beginMs;
    // 200 kB both ways together.
    expect(elapsedMs).toBeGreaterThan(480);
    expect(elapsedMs).toBeLessThan(3000);
  });

  test('resets connections after bytes that the seed tells, and the next works', async () => {
    link.set({ meanBytesToReset: 10_000 });
    const socket = await client();
    const closed = closeOf(socket);
    for (let i = 0; i < 100 && !socket.destroyed; i++) await roundTrip(socket, Buffer.alloc(4000), 200);
    await closed;
    expect(link.counts.reset).toBe(1);
    link.set({});
    expect(await roundTrip(await client(), Buffer.from('again'))).toEqual(Buffer.from('again'));
  });

  test('half-open: the server has forgotten, the client is told nothing, not even on new connections', async () => {
    const before = await client();
    expect(await roundTrip(before, Buffer.from('x'))).toEqual(Buffer.from('x'));
    link.set({ isHalfOpen: true });
    const during = await client();
    expect(await roundTrip(before, Buffer.from('lost'), 300)).toBeUndefined();
    expect(await roundTrip(during, Buffer.from('lost'), 300)).toBeUndefined();
    link.set({});
    expect(await roundTrip(before, Buffer.from('lost'), 300)).toBeUndefined();
    expect([before.destroyed, during.destroyed, before.readableEnded]).toEqual([false, false, false]);
    expect(await roundTrip(await client(), Buffer.from('new'))).toEqual(Buffer.from('new'));
    expect(link.counts).toEqual({ accepted: 3, reset: 0, halfOpen: 2 });
  });

  test('a server that is not there is told as such', async () => {
    link.connectTo(1);
    const socket = await client();
    await closeOf(socket);
    expect(socket.destroyed).toBe(true);
  });
});
