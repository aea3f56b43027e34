/**
 * The main thread's end of the API thread: starts it, answers what it asks, starts it again when it dies.
 */
import { Worker } from 'node:worker_threads';
import { errorMessage, fromPlainError, MillraceError, toPlainError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import { workerFile } from '../worker-file.ts';
import type { ApiSettings, ApiWorkerData, FromApi, ToApi } from './api-protocol.ts';
import type { IngestPort } from './ingest-port.ts';
import type { SnapshotKind, StatusPort } from './status-port.ts';
import type { StoredNews, StoredPort } from './stored-port.ts';

/** Where the API thread's questions end up on the main thread. */
export interface ApiThreadPorts {
  /** Absent: this program takes no logs, and the API has no route to post them to. */
  readonly ingest?: IngestPort;
  readonly status: StatusPort;
  /** Absent: nobody here stores logs. */
  readonly stored?: StoredPort;
  /** Absent: nobody here can restore a part that ClickHouse cannot read. */
  readonly restorePart?: (part: string) => void;
  readonly telemetry: Telemetry;
}

export interface ApiAddress {
  readonly port: number;
  readonly server: 'uws' | 'node';
}

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;
/** What the thread gets on top of a deadline to close what is left and end. */
const CLOSING_MS = 1000;
const HALT_MS = 500;
/** Bytes of HTTP headers that uWebSockets.js takes; its own default of 4 KiB is small for filters and cursors. */
const MAX_HEADER_BYTES = 16_384;

/**
 * Modes: `new` → `running` (a thread that dies is started again on the same port, after a back-off) → `stopping`
 * (nothing is started any more) → `stopped`. Answers to a thread that died are thrown away: its clients were
 * cut off with it and send again. The main thread waits for nothing but `listening` and the end of the thread,
 * and both are settled when the thread dies.
 */
export class ApiThread {
  readonly #ports: ApiThreadPorts;
  #settings: ApiSettings;
  #worker: Worker | undefined;
  #isHalted = newFlag();
  #address: ApiAddress | undefined;
  #follow: { readonly id: number; readonly end: () => void } | undefined;
  #isStopping = false;
  #deathCount = 0;
  #restart: NodeJS.Timeout | undefined;
  readonly #onProcessExit = (): void => this.#halt();

  constructor(settings: ApiSettings, ports: ApiThreadPorts) {
    this.#settings = settings;
    this.#ports = ports;
  }

  /** Set once the API listens, also while the thread is being started again. */
  get address(): ApiAddress | undefined {
    return this.#address;
  }

  /** Resolves when the API listens; rejects with what kept it from that. */
  async start(): Promise<ApiAddress> {
    // Read by native code, so it must be in the environment of the process before the thread loads it.
    process.env['UWS_HTTP_MAX_HEADERS_SIZE'] ??= String(MAX_HEADER_BYTES);
    process.on('exit', this.#onProcessExit);
    try {
      return await this.#spawn();
    } catch (error) {
      this.#isStopping = true;
      process.off('exit', this.#onProcessExit);
      throw error;
    }
  }

  /** Takes no new request; those under way may end until the deadline. */
  async stop(deadlineMs: number): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    const worker = this.#worker;
    if (worker !== undefined) {
      const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
      this.#post({ kind: 'stop', deadlineMs });
      const timer = setTimeout(() => this.#halt(), deadlineMs + CLOSING_MS);
      await ended;
      clearTimeout(timer);
    }
    process.off('exit', this.#onProcessExit);
  }

  #spawn(): Promise<ApiAddress> {
    const { threadEntry } = workerFile('api-server');
    this.#isHalted = newFlag();
    const workerData: ApiWorkerData = {
      settings: this.#settings,
      storesLogs: this.#ports.ingest !== undefined,
      isHalted: this.#isHalted,
    };
    const worker = new Worker(threadEntry, { name: 'api', workerData });
    this.#worker = worker;
    return new Promise((resolve, reject) => {
      let failure: unknown;
      worker.on('message', (message: FromApi) => {
        if (message.kind === 'listening') resolve(this.#listening(message));
        else if (message.kind === 'failed') failure = fromPlainError(message.error);
        else this.#answer(worker, message);
      });
      worker.on('error', (error) => {
        failure = error;
      });
      worker.on('exit', (code) => {
        this.#worker = undefined;
        this.#follow?.end();
        reject(failure ?? new MillraceError('thread_died', `The API thread ended with code ${code}.`));
        this.#died(failure, code);
      });
    });
  }

  #listening({ port, server }: ApiAddress): ApiAddress {
    this.#address = { port, server };
    // The same port again after a death, also where a free one was taken at first.
    this.#settings = { ...this.#settings, port };
    this.#deathCount = 0;
    return this.#address;
  }

  #died(failure: unknown, code: number): void {
    if (this.#isStopping || this.#address === undefined) return;
    const error = failure === undefined ? `exit code ${code}` : errorMessage(failure);
    this.#ports.telemetry.emit('worker_died', { thread: 'api', error });
    const backoffMs = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** this.#deathCount++);
    this.#restart = setTimeout(() => {
      // A failed start ends in another death, which tries again.
      this.#spawn().catch(() => undefined);
    }, backoffMs);
  }

  #answer(worker: Worker, message: Exclude<FromApi, { kind: 'listening' | 'failed' }>): void {
    switch (message.kind) {
      case 'ingest':
        void this.#ingest(worker, message);
        return;
      case 'snapshot':
        void this.#snapshot(worker, message.id, message.what);
        return;
      case 'follow_stored':
        this.#followStored(message.id);
        return;
      case 'unfollow_stored':
        if (message.id === this.#follow?.id) this.#follow.end();
        return;
      case 'stored_taken':
        this.#ports.stored?.taken(message.byteCount);
        return;
      case 'part_unreadable':
        this.#ports.restorePart?.(message.part);
        return;
      case 'telemetry':
        this.#ports.telemetry.emit(message.event, message.fields, message.amount);
        return;
      default:
        message satisfies never;
    }
  }

  async #ingest(worker: Worker, { id, body, format, options }: FromApi & { kind: 'ingest' }): Promise<void> {
    const outcome =
      this.#ports.ingest === undefined
        ? ({ kind: 'failed', code: 'not_found', message: 'This program takes no logs over HTTP.' } as const)
        : await this.#ports.ingest.submit(body, format, options);
    if (worker === this.#worker) this.#post({ kind: 'ingest_answer', id, outcome });
  }

  async #snapshot(worker: Worker, id: number, what: SnapshotKind): Promise<void> {
    let answer: (ToApi & { kind: 'snapshot_answer' })['answer'];
    try {
      answer = { value: await this.#ports.status.snapshot(what) };
    } catch (error) {
      answer = { error: toPlainError(error) };
    }
    if (worker === this.#worker) this.#post({ kind: 'snapshot_answer', id, answer });
  }

  #followStored(id: number): void {
    const end = this.#ports.stored?.follow((news) => this.#tell(id, news));
    this.#follow = end && { id, end };
  }

  #tell(id: number, news: StoredNews): void {
    this.#post(
      { kind: 'stored', id, news },
      news.stretches.flatMap(({ blocks = [] }) => blocks),
    );
  }

  #post(message: ToApi, moved: readonly ArrayBuffer[] = []): void {
    this.#worker?.postMessage(message, moved);
  }

  /**
   * A thread that is ended while uWebSockets.js holds a socket aborts the whole process (Node asserts that the
   * loop has no open handle). So before the process may exit the thread must have closed everything; this waits
   * for that, blocking, since an exit handler can wait in no other way.
   */
  #halt(): void {
    if (this.#worker === undefined) return;
    this.#post({ kind: 'halt' });
    Atomics.wait(this.#isHalted, 0, 0, HALT_MS);
  }
}

function newFlag(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
}
