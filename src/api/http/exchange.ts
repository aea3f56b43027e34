/**
 * One request and its one response, the same for both servers: deadline, abort, body, streaming, and the rule
 * that exactly one of "answered" and "gone" ends it. What differs between servers is the `Transport`.
 */
import { MillraceError, toMillraceError } from '../../errors.ts';
import { BodyCollector, type BodyFlow } from './body-collector.ts';
import { LeastRate } from './least-rate.ts';
import type { BodyStream, HttpRequest, HttpResponse, HttpServerOptions } from './port.ts';

export interface ResponseHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** The sending side of a connection. Nothing is called after `send`, `endStream`, `cut` or an abort. */
export interface Transport extends BodyFlow {
  /** The whole response; `isClosing` ends the connection after it. */
  send(head: ResponseHead, body: string | Uint8Array | undefined, isClosing: boolean): void;
  startStream(head: ResponseHead): void;
  /** False: no room; `Exchange.drained` is called when there is. */
  write(bytes: Uint8Array): boolean;
  endStream(): void;
  cut(): void;
}

export interface RequestHead {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly remoteAddress: string;
}

/** How long what is left of an unread body is taken and dropped, so that the client sees the answer. */
const LINGER_MS = 1000;
/** A client that takes nothing of a stream for this long is cut off. */
const STALL_MS = 30_000;
/**
 * uWebSockets.js says that there is room as soon as some bytes went, not when all it holds have gone: what is added
 * then must be less than what went, or a slow reader would fill the memory.
 */
const MAX_WRITE_BYTES = 16_384;

/** Modes: `open` (handler runs) → `answering` (body lingers or stream runs) → `done`; an abort goes to `done`. */
export class Exchange {
  readonly #options: HttpServerOptions;
  readonly #transport: Transport;
  readonly #head: RequestHead;
  readonly #body: BodyCollector;
  readonly #abort = new AbortController();
  readonly #rate = new LeastRate();
  readonly #onDone: () => void;
  #mode: 'open' | 'answering' | 'done' = 'open';
  #timer: NodeJS.Timeout | undefined;
  #wakeWriter: (() => void) | undefined;

  constructor(
    head: RequestHead,
    transport: Transport,
    server: { options: HttpServerOptions; onDone: () => void },
  ) {
    this.#head = head;
    this.#transport = transport;
    this.#options = server.options;
    this.#onDone = server.onDone;
    this.#body = new BodyCollector(declaredBytes(head), transport);
  }

  /** Runs the handler; never rejects. */
  async run(): Promise<void> {
    const problem = framingProblem(this.#head.headers);
    if (problem !== undefined) {
      this.#answer(this.#failure(new MillraceError('bad_request', problem)), true);
      return;
    }
    this.#timer = setTimeout(() => this.#expire(), this.#options.requestDeadlineMs);
    const request: HttpRequest = {
      ...this.#head,
      signal: this.#abort.signal,
      readBody: (maxBytes, onBytes) => this.#body.read(maxBytes, onBytes),
    };
    try {
      this.#answer(await this.#options.handler(request));
    } catch (error) {
      this.#answer(this.#failure(error));
    }
  }

  #failure(error: unknown, requestId?: string): HttpResponse {
    return this.#options.failure(toMillraceError(error), { headers: this.#head.headers, requestId });
  }

  /** Bytes of the body, void after the call. */
  received(chunk: Uint8Array, isLast: boolean): void {
    this.#body.push(chunk, isLast);
  }

  /** The transport has room again. */
  drained(): void {
    this.#wakeWriter?.();
  }

  /** The client is gone: nothing may be sent any more. */
  aborted(): void {
    if (this.#mode === 'done') return;
    this.#finish();
    this.#body.fail(new MillraceError('bad_request', 'The client went away before the body was complete.'));
    this.#abort.abort(new MillraceError('bad_request', 'The client went away.'));
    this.#wakeWriter?.();
  }

  #expire(): void {
    const { requestDeadlineMs } = this.#options;
    const error = new MillraceError(
      'deadline_exceeded',
      `The request was not answered within ${requestDeadlineMs} ms.`,
    );
    this.#answer(this.#failure(error));
    this.#abort.abort(error);
  }

  #answer(response: HttpResponse, isClosing = false): void {
    const stream = isStream(response.body) ? response.body : undefined;
    const body = isStream(response.body) ? undefined : response.body;
    const isWanted = this.#mode === 'open' && this.#head.method !== 'HEAD';
    if (stream !== undefined && !isWanted) void release(stream);
    if (this.#mode !== 'open') return;
    this.#mode = 'answering';
    clearTimeout(this.#timer);
    // Whoever still waits for the body goes on and gives back what is held for it.
    this.#body.fail(
      new MillraceError('deadline_exceeded', 'The request was answered before its body was complete.'),
    );
    if (stream !== undefined && isWanted) {
      void this.#stream(response, stream);
      return;
    }
    const send = (mustClose: boolean): void => {
      if (this.#mode === 'done') return;
      this.#finish();
      this.#transport.send(response, body, mustClose);
    };
    // A client that waits for "100 Continue" sends nothing before it is answered.
    if (isClosing || this.#body.isComplete || this.#head.headers.has('expect')) {
      send(isClosing || !this.#body.isComplete);
      return;
    }
    this.#timer = setTimeout(() => send(true), LINGER_MS);
    this.#body.discard(() => send(false));
  }

  async #stream(head: ResponseHead, body: BodyStream): Promise<void> {
    this.#body.discard(() => undefined);
    this.#transport.startStream(head);
    try {
      for await (const chunk of body) {
        const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
        for (let start = 0; start < bytes.byteLength; start += MAX_WRITE_BYTES) {
          await this.#write(bytes.subarray(start, start + MAX_WRITE_BYTES));
        }
        this.#abort.signal.throwIfAborted();
      }
      if (this.#isDone) return;
      this.#finish();
      this.#transport.endStream();
    } catch (error) {
      if (!this.#isDone) this.#failure(error, head.headers['X-Request-Id']);
      this.#cut();
    }
  }

  get #isDone(): boolean {
    return this.#mode === 'done';
  }

  /** `bytes` is not empty: an empty chunk would end a chunked body. */
  async #write(bytes: Uint8Array): Promise<void> {
    this.#abort.signal.throwIfAborted();
    if (this.#transport.write(bytes)) {
      this.#rate.took(bytes.byteLength, 0);
      return;
    }
    const startMs = performance.now();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#cut(), STALL_MS);
      this.#wakeWriter = () => {
        clearTimeout(timer);
        this.#wakeWriter = undefined;
        resolve();
      };
    });
    if (!this.#rate.took(bytes.byteLength, performance.now() - startMs)) this.#cut();
    this.#abort.signal.throwIfAborted();
  }

  #cut(): void {
    if (this.#mode === 'done') return;
    this.#finish();
    this.#abort.abort(new MillraceError('deadline_exceeded', 'The response was cut off.'));
    this.#wakeWriter?.();
    this.#transport.cut();
  }

  #finish(): void {
    this.#mode = 'done';
    clearTimeout(this.#timer);
    this.#onDone();
  }
}

function isStream(body: HttpResponse['body']): body is BodyStream {
  return typeof body === 'object' && Symbol.asyncIterator in body;
}

/** Ends a stream that nobody will read, and what it holds. */
async function release(stream: BodyStream): Promise<void> {
  try {
    await stream[Symbol.asyncIterator]().return?.();
  } catch {
    // There is nobody left to tell.
  }
}

function declaredBytes({ headers }: RequestHead): number | undefined {
  if (headers.has('transfer-encoding')) return undefined;
  const length = headers.get('content-length');
  return length === undefined ? 0 : Number(length);
}

/** What makes it doubtful where the body ends (RFC 9112, 6.3): an attack on whoever else reads the connection. */
function framingProblem(headers: ReadonlyMap<string, string>): string | undefined {
  const length = headers.get('content-length');
  const encoding = headers.get('transfer-encoding');
  if (length !== undefined && encoding !== undefined) {
    return 'Content-Length and Transfer-Encoding exclude each other.';
  }
  if (length !== undefined && !/^\d{1,15}$/.test(length))
    return 'There must be one Content-Length, a number.';
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked') {
    return 'Transfer-Encoding must be chunked.';
  }
  return undefined;
}
