/**
 * The HTTP port on node:http and node:https: slower, but without native code.
 */
import { readFileSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { Exchange, type RequestHead, type ResponseHead, type Transport } from './exchange.ts';
import type { HttpServer, HttpServerOptions } from './port.ts';
import { addHeader, plainAddress, safeHeaderValue } from './request-head.ts';
import { listenError, tlsError } from './start-errors.ts';

const LIMITS = {
  headersTimeout: 10_000,
  keepAliveTimeout: 10_000,
  maxHeaderSize: 16_384,
  connectionsCheckingInterval: 1000,
};
const MAX_HEADER_COUNT = 100;
const BAD_REQUEST = 400;
const TOO_MANY_HEADERS = 431;
/** What is answered where a request does not get as far as the application, by the error of node:http. */
const STATUS_OF_ERROR: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: TOO_MANY_HEADERS,
};

export function createNodeServer(options: HttpServerOptions): HttpServer {
  let inFlightCount = 0;
  const server = createPlainOrTls(options, (message, response) => {
    if (message.rawHeaders.length > MAX_HEADER_COUNT * 2) {
      refuse(message.socket, TOO_MANY_HEADERS);
      return;
    }
    inFlightCount++;
    accept(message, response, { options, onDone: () => inFlightCount-- });
  });
  // node:http drops what is beyond its limit in silence: one more shows that there were too many.
  server.maxHeadersCount = MAX_HEADER_COUNT + 1;
  if (options.maxConnections !== undefined) server.maxConnections = options.maxConnections;
  server.on('drop', () => options.onRefused?.());
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    refuse(socket, STATUS_OF_ERROR[error.code ?? ''] ?? BAD_REQUEST);
  });

  return {
    kind: 'node',
    get inFlightCount() {
      return inFlightCount;
    },
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', (error) => reject(listenError(options, error)));
        server.listen(options.port, options.host, () => resolve((server.address() as AddressInfo).port));
      }),
    async stop(deadlineMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), deadlineMs);
      // Connections that were busy when the stop came turn idle one by one.
      const sweep = setInterval(() => server.closeIdleConnections(), 50);
      await closed;
      clearTimeout(timer);
      clearInterval(sweep);
    },
    halt() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function refuse(socket: Duplex, status: number): void {
  const line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`;
  if (socket.writable) socket.end(`${line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  else socket.destroy();
}

type Listener = (message: IncomingMessage, response: ServerResponse) => void;

function createPlainOrTls({ tls, requestDeadlineMs }: HttpServerOptions, listener: Listener): Server {
  // The body may take as long as a request may; the exchange's own deadline answers before this one cuts.
  const limits = { ...LIMITS, requestTimeout: requestDeadlineMs + LIMITS.headersTimeout };
  if (tls === undefined) return createServer(limits, listener);
  try {
    const key = readFileSync(tls.keyFile);
    const cert = readFileSync(tls.certFile);
    return createTlsServer({ ...limits, handshakeTimeout: LIMITS.headersTimeout, key, cert }, listener);
  } catch (error) {
    throw tlsError(error);
  }
}

interface Accepting {
  readonly options: HttpServerOptions;
  readonly onDone: () => void;
}

function accept(message: IncomingMessage, response: ServerResponse, server: Accepting): void {
  const exchange = new Exchange(readHead(message), new NodeTransport(message, response), server);
  message.on('data', (chunk: Buffer) => exchange.received(chunk, false));
  message.on('end', () => exchange.received(new Uint8Array(0), true));
  // A socket error surfaces as `close` too; without a listener it would be thrown.
  message.on('error', () => undefined);
  response.on('error', () => undefined);
  response.on('drain', () => exchange.drained());
  response.on('close', () => exchange.aborted());
  void exchange.run();
}

function readHead(message: IncomingMessage): RequestHead {
  const headers = new Map<string, string>();
  const { rawHeaders, url = '/' } = message;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    addHeader(headers, rawHeaders[i] ?? '', rawHeaders[i + 1] ?? '');
  }
  const mark = url.indexOf('?');
  return {
    method: message.method ?? '',
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? '' : url.slice(mark + 1),
    headers,
    remoteAddress: plainAddress(message.socket.remoteAddress ?? ''),
  };
}

class NodeTransport implements Transport {
  readonly #message: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(message: IncomingMessage, response: ServerResponse) {
    this.#message = message;
    this.#response = response;
  }

  send(head: ResponseHead, body: string | Uint8Array | undefined, isClosing: boolean): void {
    if (isClosing) this.#response.shouldKeepAlive = false;
    const isBodyless = head.status === 204 || head.status === 304;
    if (!isBodyless) this.#response.setHeader('Content-Length', Buffer.byteLength(body ?? ''));
    this.#writeHead(head);
    this.#response.end(isBodyless ? undefined : body);
  }

  startStream(head: ResponseHead): void {
    this.#writeHead(head);
    this.#response.flushHeaders();
  }

  write(bytes: Uint8Array): boolean {
    return this.#response.write(bytes);
  }

  endStream(): void {
    this.#response.end();
  }

  cut(): void {
    this.#message.socket.destroy();
  }

  pause(): void {
    this.#message.pause();
  }

  resume(): void {
    this.#message.resume();
  }

  #writeHead({ status, headers }: ResponseHead): void {
    for (const [name, value] of Object.entries(headers)) {
      this.#response.setHeader(name, safeHeaderValue(value));
    }
    this.#response.writeHead(status);
  }
}
