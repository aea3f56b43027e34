/**
 * Both HTTP servers behind the port: the same tests.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as tlsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { HttpRequest, HttpResponse, HttpServer, HttpServerOptions } from '../../../src/api/http/port.ts';
import { createHttpServer } from '../../../src/api/http/server.ts';
import { problemResponse } from '../../../src/api/problem.ts';
import { RecordingTelemetry } from '../../support/clickhouse.ts';
import { openRaw, type RawConnection } from './raw-client.ts';
import { selfSigned } from './self-signed.ts';

// As the program does before its API thread loads the library.
process.env['UWS_HTTP_MAX_HEADERS_SIZE'] ??= '16384';

const DEADLINE_MS = 400;
const MAX_BODY_BYTES = 100_000;

describe.each(['uws', 'node'] as const)('HTTP server %s', (kind) => {
  let server: HttpServer;
  let port = 0;
  let base = '';
  let handler: (request: HttpRequest) => Promise<HttpResponse> = echo;
  const telemetry = new RecordingTelemetry();
  /** Attacks that take their time: begun first, looked at last. */
  let slowHeaders: Promise<RawEnd>;
  let manyHeaders: Promise<RawEnd>;

  const optionsFor = (options: Partial<HttpServerOptions> = {}): HttpServerOptions => ({
    host: '127.0.0.1',
    port: 0,
    requestDeadlineMs: DEADLINE_MS,
    handler: (request) => handler(request),
    failure: (error) => problemResponse(error),
    ...options,
  });

  beforeAll(async () => {
    server = createHttpServer(kind, optionsFor(), telemetry);
    port = await server.listen();
    base = `http://127.0.0.1:${port}`;
    slowHeaders = dribbleHeaders(port);
    const flood = await openRaw(port);
    const names = Array.from({ length: 150 }, (_, i) => `X-${i}: a\r\n`);
    flood.send(`GET /flood HTTP/1.1\r\nHost: a\r\n${names.join('')}\r\n`);
    manyHeaders = endOf(flood);
  });

  afterEach(async () => {
    handler = echo;
    // Whatever a test did to a connection, its request must have come to an end.
    await waitFor(() => server.inFlightCount === 0);
  });

  afterAll(async () => {
    await server.stop(1000);
  });

  it('is the one asked for, without a fallback', () => {
    expect(server.kind).toBe(kind);
    expect(telemetry.count('http_fallback')).toBe(0);
  });

  it('hands over method, path, query, headers and address as sent', async () => {
    const answer = await fetch(`${base}/a%20b/c?x=1%202&y`, { headers: { 'X-Test': 'Ä'.normalize('NFC') } });
    expect(await answer.json()).toMatchObject({
      method: 'GET',
      path: '/a%20b/c',
      query: 'x=1%202&y',
      remoteAddress: '127.0.0.1',
      headers: { 'x-test': expect.any(String) as string },
    });
  });

  it('reads a body in one piece and in many', async () => {
    const body = 'x'.repeat(MAX_BODY_BYTES);
    const whole = await fetch(base, { method: 'POST', body });
    expect(await whole.json()).toMatchObject({ bodyBytes: MAX_BODY_BYTES });
    const raw = await openRaw(port);
    raw.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (const piece of ['3\r\nabc\r\n', '4\r\ndefg', '\r\n0\r\n\r\n']) {
      raw.send(piece);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await raw.until(/bodyText":"abcdefg"/)).toContain('HTTP/1.1 200');
    raw.destroy();
  });

  it('reads a body that is asked for late', async () => {
    handler = async (request) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return await echo(request);
    };
    const answer = await fetch(base, { method: 'POST', body: 'y'.repeat(MAX_BODY_BYTES) });
    expect(await answer.json()).toMatchObject({ bodyBytes: MAX_BODY_BYTES });
  });

  it('reads on from a connection whose last body came at once and was asked for late', async () => {
    handler = async (request) => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return await echo(request);
    };
    const raw = await openRaw(port);
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
    raw.send(`${head}3\r\nabc\r\n0\r\n\r\n`);
    await raw.until(/bodyText":"abc"/);
    raw.send(`${head}3\r\nxyz\r\n0\r\n\r\n`);
    expect(await raw.until(/bodyText":"xyz"/, 2000)).not.toContain('HTTP/1.1 400');
    raw.destroy();
  });

  it('gives the body memory of its own, of exactly its length', async () => {
    handler = async (request) => {
      const body = await request.readBody(100);
      const moved = structuredClone(body, { transfer: [body] });
      return { status: 200, headers: {}, body: String(moved.byteLength) };
    };
    const answer = await fetch(base, { method: 'POST', body: 'abc' });
    expect(await answer.text()).toBe('3');
  });

  it('refuses a body over the limit, declared or not, and the connection lives or is closed cleanly', async () => {
    const declared = await fetch(base, { method: 'POST', body: 'x'.repeat(MAX_BODY_BYTES + 1) });
    expect(declared.status).toBe(413);
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let i = 0; i < 4; i++) controller.enqueue(new Uint8Array(MAX_BODY_BYTES / 2));
        controller.close();
      },
    });
    const init = { method: 'POST', body: stream, duplex: 'half' } as RequestInit;
    const chunked = await fetch(base, init);
    expect(chunked.status).toBe(413);
    expect((await fetch(base)).status).toBe(200);
  });

  it('answers before the body was sent when the client waits to be asked', async () => {
    handler = async () => ({ status: 401, headers: {} });
    const raw = await openRaw(port);
    raw.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n');
    expect(await raw.until(/HTTP\/1\.1 401/, 900)).not.toContain('HTTP/1.1 200');
    await raw.closed();
  });

  it.each([
    ['two Content-Length', 'Content-Length: 3\r\nContent-Length: 3'],
    ['two different Content-Length', 'Content-Length: 3\r\nContent-Length: 30'],
    ['a list as Content-Length', 'Content-Length: 3, 3'],
    ['a negative Content-Length', 'Content-Length: -3'],
    ['Content-Length with Transfer-Encoding', 'Content-Length: 3\r\nTransfer-Encoding: chunked'],
    ['an unknown Transfer-Encoding', 'Transfer-Encoding: gzip, chunked'],
  ])('refuses %s and closes', async (_name, headers) => {
    let wasHandled = false;
    handler = async (request) => {
      wasHandled = true;
      return await echo(request);
    };
    const raw = await openRaw(port);
    raw.send(`POST / HTTP/1.1\r\nHost: a\r\n${headers}\r\n\r\nabc`);
    await raw.closed();
    expect(raw.text()).not.toContain('HTTP/1.1 200');
    expect(wasHandled).toBe(false);
  });

  it('survives a client that leaves in the middle of the body', async () => {
    const seen: string[] = [];
    let isAborted = false;
    handler = async (request) => {
      request.signal.addEventListener('abort', () => {
        isAborted = true;
      });
      await request.readBody(100).catch((error: Error) => seen.push(error.message));
      return { status: 200, headers: {} };
    };
    const raw = await openRaw(port);
    raw.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nabc');
    await waitFor(() => server.inFlightCount === 1);
    raw.destroy();
    await waitFor(() => seen.length === 1 && isAborted);
    expect(seen[0]).toMatch(/went away/);
    expect((await fetch(base)).status).toBe(200);
  });

  it('answers 503 when the deadline has passed, aborts the work, and ignores what it gives later', async () => {
    let isAborted = false;
    handler = async (request) => {
      request.signal.addEventListener('abort', () => {
        isAborted = true;
      });
      await new Promise((resolve) => setTimeout(resolve, DEADLINE_MS * 2));
      return { status: 200, headers: {}, body: 'late' };
    };
    const answer = await fetch(base);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ code: 'deadline_exceeded' });
    expect(isAborted).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, DEADLINE_MS * 1.5));
    handler = echo;
    expect((await fetch(base)).status).toBe(200);
  });

  it('answers 503 to a body that never comes to its end', async () => {
    const raw = await openRaw(port);
    raw.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nabc');
    expect(await raw.until(/HTTP\/1\.1 503/)).not.toContain('HTTP/1.1 200');
    await raw.closed();
  });

  it('turns what a handler throws into an answer, synchronous or not', async () => {
    handler = () => {
      throw new Error('boom');
    };
    expect((await fetch(base)).status).toBe(500);
    handler = () => Promise.reject(new Error('boom'));
    const answer = await fetch(base);
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain('boom');
  });

  it('keeps headers on their own lines and says nothing about itself', async () => {
    handler = async () => ({ status: 200, headers: { 'X-Test': 'a\r\nX-Evil: b' }, body: 'ok' });
    const raw = await openRaw(port);
    raw.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const text = await raw.until(/ok$/);
    expect(text).not.toMatch(/^X-Evil/m);
    expect(text).not.toMatch(/uwebsockets|node|express|server:/i);
    raw.destroy();
  });

  it('sends no body with HEAD, 204 and 304', async () => {
    const raw = await openRaw(port);
    handler = async () => ({ status: 200, headers: {}, body: 'hello' });
    raw.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await raw.until(/\r\n\r\n/)).toMatch(/content-length: 5\r\n/i);
    handler = async () => ({ status: 204, headers: {} });
    raw.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await raw.until(/HTTP\/1\.1 204 No Content[^]*\r\n\r\n/);
    handler = async () => ({ status: 200, headers: {}, body: 'end' });
    raw.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const text = await raw.until(/end$/);
    expect(text).not.toContain('hello');
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(3);
    raw.destroy();
  });

  it('streams with back-pressure', async () => {
    let askedBytes = 0;
    const chunk = new Uint8Array(65_536).fill(120);
    handler = async () => ({ status: 200, headers: {}, body: chunks() });
    async function* chunks() {
      for (let i = 0; i < 320; i++) {
        askedBytes += chunk.byteLength;
        yield chunk;
      }
    }
    const raw = await openRaw(port);
    raw.socket.pause();
    raw.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await waitFor(() => askedBytes > 0);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(askedBytes).toBeLessThan(15 * 1024 * 1024);
    raw.socket.resume();
    const text = await raw.until(/\r\n0\r\n\r\n$/, 10_000);
    expect(text.split('x').length - 1).toBe(320 * chunk.byteLength);
    raw.destroy();
  });

  it('streams text and bytes, and passes over empty chunks', async () => {
    async function* chunks() {
      yield 'a';
      yield '';
      yield new Uint8Array(0);
      yield new TextEncoder().encode('ä');
      yield 'ö'.repeat(20_000);
    }
    handler = async () => ({ status: 200, headers: {}, body: chunks() });
    const answer = await fetch(base);
    expect(await answer.text()).toBe(`aä${'ö'.repeat(20_000)}`);
  });

  it('cuts a stream that fails', async () => {
    async function* chunks() {
      yield 'begun';
      throw new Error('broken');
    }
    handler = async () => ({ status: 200, headers: {}, body: chunks() });
    const cut = await openRaw(port);
    cut.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await cut.closed();
    expect(cut.text()).not.toMatch(/0\r\n\r\n$/);
    await expect(fetch(base).then((answer) => answer.text())).rejects.toThrow();
  });

  it.each(['waits', 'writes'])(
    'tells a stream that %s that its client left, and returns it',
    async (what) => {
      let isReturned = false;
      handler = async (request) => ({ status: 200, headers: {}, body: chunks(request.signal) });
      async function* chunks(signal: AbortSignal) {
        try {
          yield 'begun';
          if (what === 'waits') await new Promise((resolve) => signal.addEventListener('abort', resolve));
          for (;;) yield 'x'.repeat(100_000);
        } finally {
          isReturned = true;
        }
      }
      const left = await openRaw(port);
      left.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await left.until(/begun/);
      left.destroy();
      await expect.poll(() => isReturned).toBe(true);
    },
  );

  it('returns a stream that nobody will read', async () => {
    let returnedCount = 0;
    const body = () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.reject(new Error('read')),
        return: () => Promise.resolve({ done: true as const, value: returnedCount++ }),
      }),
    });
    handler = async () => ({ status: 200, headers: {}, body: body() });
    expect((await fetch(base, { method: 'HEAD' })).status).toBe(200);
    expect(returnedCount).toBe(1);
    handler = async () => {
      await new Promise((resolve) => setTimeout(resolve, DEADLINE_MS * 1.5));
      return { status: 200, headers: {}, body: body() };
    };
    expect((await fetch(base)).status).toBe(503);
    await waitFor(() => returnedCount === 2);
  });

  it('takes headers of 12 KB and refuses more than it can hold', async () => {
    const fits = await openRaw(port);
    fits.send(`GET / HTTP/1.1\r\nHost: a\r\nX-Long: ${'a'.repeat(12_000)}\r\n\r\n`);
    await fits.until(/HTTP\/1\.1 200/);
    fits.destroy();
    const floods = await openRaw(port);
    floods.send(`GET / HTTP/1.1\r\nHost: a\r\nX-Long: ${'a'.repeat(200_000)}\r\n\r\n`);
    await floods.closed();
    expect(floods.text()).not.toContain('HTTP/1.1 200');
  });

  it('says so when the port is taken', async () => {
    const second = createHttpServer(kind, optionsFor({ port }), telemetry);
    await expect(second.listen()).rejects.toMatchObject({ code: 'address_unavailable' });
    second.halt();
  });

  it('lets running requests end before it stops, and cuts them at the deadline', async () => {
    handler = async () => {
      await new Promise((resolve) => setTimeout(resolve, 150));
      return { status: 200, headers: {}, body: 'done' };
    };
    const graceful = createHttpServer(kind, optionsFor({ requestDeadlineMs: 5000 }), telemetry);
    const address = `http://127.0.0.1:${await graceful.listen()}`;
    const running = fetch(address);
    await waitFor(() => graceful.inFlightCount === 1);
    const stopping = graceful.stop(2000);
    await expect(fetch(address)).rejects.toThrow();
    expect(await (await running).text()).toBe('done');
    await stopping;

    handler = () => new Promise(() => undefined);
    const hasty = createHttpServer(kind, optionsFor({ requestDeadlineMs: 5000 }), telemetry);
    const cut = fetch(`http://127.0.0.1:${await hasty.listen()}`).catch((error: Error) => error);
    await waitFor(() => hasty.inFlightCount === 1);
    const startMs = Date.now();
    await hasty.stop(100);
    expect(await cut).toBeInstanceOf(Error);
    expect(Date.now() - startMs).toBeLessThan(2000);
  });

  it('serves TLS', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-tls-'));
    const keyFile = join(directory, 'key.pem');
    const certFile = join(directory, 'cert.pem');
    const { keyPem, certPem } = selfSigned();
    writeFileSync(keyFile, keyPem);
    writeFileSync(certFile, certPem);
    const secure = createHttpServer(kind, optionsFor({ tls: { certFile, keyFile } }), telemetry);
    const securePort = await secure.listen();
    const body = 'z'.repeat(MAX_BODY_BYTES);
    const text = await new Promise<string>((resolve, reject) => {
      const options = { host: '127.0.0.1', port: securePort, method: 'POST', rejectUnauthorized: false };
      const request = tlsRequest(options, (response) => {
        let received = '';
        response.on('data', (chunk: Buffer) => {
          received += chunk.toString();
        });
        response.on('end', () => resolve(received));
      });
      request.on('error', reject);
      request.end(body);
    });
    expect(JSON.parse(text)).toMatchObject({ bodyBytes: MAX_BODY_BYTES });
    await secure.stop(100);
    rmSync(directory, { recursive: true });
  });

  it('closes connections beyond its bound, tells of them, and takes new ones when others have ended', async () => {
    let refusedCount = 0;
    const onRefused = (): void => {
      refusedCount++;
    };
    const bounded = createHttpServer(kind, optionsFor({ maxConnections: 2, onRefused }), telemetry);
    const boundedPort = await bounded.listen();
    const get = async () => {
      const raw = await openRaw(boundedPort);
      raw.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      return raw;
    };
    const [first, second] = [await get(), await get()];
    await Promise.all([first, second].map((raw) => raw.until(/HTTP\/1\.1 200/)));
    const third = await get();
    await third.closed();
    expect(third.text()).toBe('');
    expect(refusedCount).toBe(1);
    first.destroy();
    await expect
      .poll(
        async () => {
          const next = await get();
          const text = await next.until(/HTTP\/1\.1 200/, 200).catch(() => '');
          next.destroy();
          return text;
        },
        { timeout: 5000 },
      )
      .toContain('HTTP/1.1 200');
    second.destroy();
    await bounded.stop(100);
  });

  it('refuses certificate files that are not there', () => {
    const tls = { certFile: '/nonexistent/cert.pem', keyFile: '/nonexistent/key.pem' };
    expect(() => createHttpServer(kind, optionsFor({ tls }), telemetry)).toThrow(/TLS_CERT/);
  });

  it('waits ten seconds for headers, not for each of them, and takes no flood of them', async () => {
    const slow = await slowHeaders;
    expect(slow.text).not.toContain('HTTP/1.1 200');
    expect(slow.elapsedMs).toBeGreaterThan(5000);
    const many = await manyHeaders;
    expect(many.text).not.toContain('HTTP/1.1 200');
    expect((await fetch(base)).status).toBe(200);
  }, 40_000);
});

interface RawEnd {
  readonly text: string;
  readonly elapsedMs: number;
}

/** How a connection ended; rejects when it does not. */
async function endOf(raw: RawConnection): Promise<RawEnd> {
  const startMs = performance.now();
  const tooLate = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error('the connection was not ended')), 30_000).unref();
  });
  await Promise.race([raw.closed(), tooLate]);
  return { text: raw.text(), elapsedMs: performance.now() - startMs };
}

/** One header a second, without an end. */
async function dribbleHeaders(port: number): Promise<RawEnd> {
  const raw = await openRaw(port);
  raw.send('GET /slow HTTP/1.1\r\nHost: a\r\n');
  const timer = setInterval(() => raw.send('X-Slow: a\r\n'), 1000);
  return await endOf(raw).finally(() => clearInterval(timer));
}

async function echo(request: HttpRequest): Promise<HttpResponse> {
  const body = await request.readBody(MAX_BODY_BYTES);
  const bodyText = body.byteLength < 100 ? new TextDecoder().decode(body) : '';
  const { method, path, query, remoteAddress } = request;
  const headers = Object.fromEntries(request.headers);
  const answer = { method, path, query, remoteAddress, headers, bodyBytes: body.byteLength, bodyText };
  return { status: 200, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(answer) };
}

async function waitFor(condition: () => boolean): Promise<void> {
  const endMs = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > endMs) throw new Error('the condition did not come true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
