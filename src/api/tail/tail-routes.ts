/**
 * `GET /logs/tail`: logs as they are stored, as server-sent events.
 */
import { MillraceError } from '../../errors.ts';
import { beginStream } from '../begun-stream.ts';
import { filterSteps } from '../filter/filter-steps.ts';
import type { HttpResponse } from '../http/port.ts';
import { readLogFilter } from '../logs/log-filter.ts';
import { filterOf } from '../logs/logs-query.ts';
import { shareCharge } from '../query-limits.ts';
import { readQuery } from '../read-query.ts';
import type { RequestContext, Route } from '../route.ts';
import { PatternAllowance } from './pattern-allowance.ts';
import { selectionKey, type TailSelection } from './tail-group.ts';
import { TailHub, type TailHubOptions, type TailHubPorts } from './tail-hub.ts';
import { decodeMark, type TailMark } from './tail-mark.ts';
import { TAIL_LOGS, TailQuery } from './tail-operation.ts';
import { TailStream } from './tail-stream.ts';

export interface TailPorts extends TailHubPorts {
  /** Holds a place for a stream of the user; what it returns gives the place back, once. Absent: nothing is counted. */
  readonly openStream?: ((username: string) => () => void) | undefined;
}

export interface TailOptions extends TailHubOptions {
  /** Open at once, of all users. */
  readonly maxStreams: number;
  /** Between heartbeats; as often it is asked whether the client may still look. */
  readonly heartbeatMs: number;
}

const DEFAULTS: TailOptions = {
  pollMs: 1000,
  maxRows: 10_000,
  maxLagS: 10,
  maxLogs: 1000,
  maxCharacters: 524_288,
  maxQueuedBytes: 33_554_432,
  maxStreams: 500,
  watchMs: 5000,
  heartbeatMs: 15_000,
};
const HEADERS = {
  'Content-Type': 'text/event-stream',
  // Proxies that hold answers back let it through.
  'X-Accel-Buffering': 'no',
};

export class LogsTail {
  readonly #ports: TailPorts;
  readonly #options: TailOptions;
  readonly #hub: TailHub;
  readonly #closing = new AbortController();
  readonly #patterns = new PatternAllowance();
  #streamCount = 0;

  constructor(ports: TailPorts, options: Partial<TailOptions> = {}) {
    this.#ports = ports;
    this.#options = { ...DEFAULTS, ...options };
    this.#hub = new TailHub(ports, this.#options);
  }

  routes(): Route[] {
    return [
      {
        method: 'GET',
        path: '/logs/tail',
        access: 'read',
        operation: TAIL_LOGS,
        isScoped: true,
        takesTicket: true,
        handle: (context) => this.#answer(context),
      },
    ];
  }

  /** Ends every stream: clients come back with the id of the last event. */
  close(): void {
    this.#closing.abort();
  }

  async #answer(context: RequestContext): Promise<HttpResponse> {
    const { request, query, principal } = context;
    const selection = { filter: readLogFilter(filterOf(query)), scope: principal.scope };
    const after = this.#after(context, selection);
    if (request.method === 'HEAD') return { status: 200, headers: HEADERS };
    const signal = AbortSignal.any([request.signal, this.#closing.signal]);
    shareCharge(request.signal, signal);
    const task = {
      selection,
      after,
      signal,
      isAllowed: async () => (await principal.isCurrent?.()) ?? true,
    };
    const stream = new TailStream(task, { ...this.#ports, ...this.#options, hub: this.#hub });
    const release = this.#openStream(principal.username, selection);
    const body = await beginStream(counted(stream, release)).catch((error: unknown) => {
      release();
      throw error;
    });
    return { status: 200, headers: HEADERS, body };
  }

  /** Throws `too_many_requests`, and `query_too_costly` for a filter that nobody may follow. */
  #openStream(username: string, selection: TailSelection): () => void {
    this.#hub.checkIsTaken(selection);
    const { maxStreams } = this.#options;
    if (this.#streamCount >= maxStreams) {
      throw new MillraceError('too_many_requests', `${maxStreams} live tails are open: try again later.`);
    }
    const giveBack = this.#patterns.open(username, filterSteps(selection.filter));
    const release = this.#openCounted(username, giveBack);
    this.#streamCount++;
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      this.#streamCount--;
      giveBack();
      release?.();
    };
  }

  #openCounted(username: string, giveBack: () => void): (() => void) | undefined {
    try {
      return this.#ports.openStream?.(username);
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  #after({ request, query }: RequestContext, selection: TailSelection): TailMark | undefined {
    const { cursor = '' } = readQuery(query, TailQuery);
    // A browser that reconnects by itself sends the address it was given, and the newer id in the header.
    const text = request.headers.get('last-event-id') ?? cursor;
    if (text === '') return undefined;
    return decodeMark(text, { binding: selectionKey(selection), secret: this.#ports.cursorSecret });
  }
}

async function* counted(stream: TailStream, release: () => void): AsyncGenerator<string> {
  try {
    yield* stream.events();
  } finally {
    release();
  }
}
