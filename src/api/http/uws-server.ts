/**
 * The HTTP port on uWebSockets.js. Its rules, all kept here: the request object lives only during the callback;
 * `onAborted` comes before anything else; no response object is touched after its end or abort; nothing throws
 * out of a callback, since that aborts the process; writes are corked; received memory is void after the call.
 */
import { STATUS_CODES } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { Exchange, type RequestHead, type ResponseHead, type Transport } from './exchange.ts';
import type { HttpServer, HttpServerOptions } from './port.ts';
import { addHeader, plainAddress, safeHeaderValue } from './request-head.ts';
import { listenError, tlsError } from './start-errors.ts';
import type { UwsApp, UwsLibrary, UwsListenSocket, UwsRequest, UwsResponse } from './uws-binding.ts';

const POLL_MS = 10;
const EXCLUSIVE_PORT = 1;

export function createUwsServer(library: UwsLibrary, options: HttpServerOptions): HttpServer {
  const app = createUwsApp(library, options);
  let listenSocket: UwsListenSocket | undefined;
  const state = { inFlightCount: 0 };
  let isClosed = false;

  boundConnections(app, options);
  app.any('/*', (response, request) => {
    try {
      state.inFlightCount++;
      accept(response, request, { options, onDone: () => state.inFlightCount-- });
    } catch {
      state.inFlightCount--;
      response.close();
    }
  });

  function closeListener(): void {
    if (listenSocket !== undefined) library.us_listen_socket_close(listenSocket);
    listenSocket = undefined;
  }

  function halt(): void {
    if (isClosed) return;
    isClosed = true;
    closeListener();
    app.close();
  }

  return {
    kind: 'uws',
    get inFlightCount() {
      return state.inFlightCount;
    },
    async listen() {
      // Without a port of its own the library leaves out SO_REUSEADDR, and nobody could take the port again for
      // a minute after this server closed a connection. So a free port is found first.
      const port = options.port === 0 ? await findFreePort(options) : options.port;
      return await new Promise<number>((resolve, reject) => {
        app.listen(options.host, port, EXCLUSIVE_PORT, (socket) => {
          if (socket === false) {
            reject(listenError(options));
            return;
          }
          listenSocket = socket;
          resolve(library.us_socket_local_port(socket));
        });
      });
    },
    async stop(deadlineMs) {
      closeListener();
      const endMs = performance.now() + deadlineMs;
      while (state.inFlightCount > 0 && performance.now() < endMs) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
      halt();
    },
    halt,
  };
}

function boundConnections(app: UwsApp, { maxConnections = Infinity, onRefused }: HttpServerOptions): void {
  let connectionCount = 0;
  app.filter((response, change) => {
    connectionCount += change;
    if (change < 0 || connectionCount <= maxConnections) return;
    response.close();
    onRefused?.();
  });
}

function createUwsApp(library: UwsLibrary, { tls }: HttpServerOptions): UwsApp {
  if (tls === undefined) return library.App();
  try {
    return library.SSLApp({ key_file_name: tls.keyFile, cert_file_name: tls.certFile });
  } catch (error) {
    throw tlsError(error);
  }
}

function findFreePort({ host, port }: HttpServerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error) => reject(listenError({ host, port }, error)));
    probe.listen(0, host, () => {
      const { port: free } = probe.address() as AddressInfo;
      probe.close(() => resolve(free));
    });
  });
}

interface Server {
  readonly options: HttpServerOptions;
  readonly onDone: () => void;
}

function accept(response: UwsResponse, request: UwsRequest, server: Server): void {
  const transport = new UwsTransport(response, request.getCaseSensitiveMethod() === 'HEAD');
  const exchange = new Exchange(readHead(response, request), transport, server);
  response.onAborted(() => {
    transport.isGone = true;
    exchange.aborted();
  });
  response.onWritable(() => {
    exchange.drained();
    return true;
  });
  response.onData((chunk, isLast) => {
    try {
      exchange.received(new Uint8Array(chunk), isLast);
    } catch {
      transport.cut();
    }
  });
  void exchange.run();
}

function readHead(response: UwsResponse, request: UwsRequest): RequestHead {
  const headers = new Map<string, string>();
  request.forEach((name, value) => addHeader(headers, name, value));
  return {
    method: request.getCaseSensitiveMethod(),
    path: request.getUrl(),
    query: request.getQuery() ?? '',
    headers,
    remoteAddress: plainAddress(Buffer.from(response.getRemoteAddressAsText()).toString('latin1')),
  };
}

class UwsTransport implements Transport {
  readonly #response: UwsResponse;
  readonly #isHead: boolean;
  /** Set by an abort or an end: the response object must not be touched any more. */
  isGone = false;

  constructor(response: UwsResponse, isHead: boolean) {
    this.#response = response;
    this.#isHead = isHead;
  }

  send(head: ResponseHead, body: string | Uint8Array | undefined, isClosing: boolean): void {
    if (this.isGone) return;
    this.isGone = true;
    const isBodyless = head.status === 204 || head.status === 304;
    this.#response.cork(() => {
      this.#writeHead(head);
      if (!this.#isHead && !isBodyless) {
        this.#response.end(body ?? '', isClosing);
        return;
      }
      // `endWithoutBody` with a length breaks the connection for the next request; as a header it does not.
      if (!isBodyless) this.#response.writeHeader('Content-Length', String(byteLength(body)));
      if (isClosing) this.#response.end('', true);
      else this.#response.endWithoutBody();
    });
  }

  startStream(head: ResponseHead): void {
    if (!this.isGone) this.#response.cork(() => this.#writeHead(head));
  }

  write(bytes: Uint8Array): boolean {
    if (this.isGone) return false;
    let hasRoom = true;
    this.#response.cork(() => {
      hasRoom = this.#response.write(bytes);
    });
    return hasRoom;
  }

  endStream(): void {
    if (this.isGone) return;
    this.isGone = true;
    this.#response.cork(() => this.#response.end('', false));
  }

  cut(): void {
    if (!this.isGone) this.#response.close();
  }

  pause(): void {
    if (!this.isGone) this.#response.pause();
  }

  resume(): void {
    if (!this.isGone) this.#response.resume();
  }

  #writeHead({ status, headers }: ResponseHead): void {
    this.#response.writeStatus(`${status} ${STATUS_CODES[status] ?? 'Unknown'}`);
    for (const [name, value] of Object.entries(headers)) {
      this.#response.writeHeader(name, safeHeaderValue(value));
    }
  }
}

function byteLength(body: string | Uint8Array | undefined): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : (body?.byteLength ?? 0);
}
