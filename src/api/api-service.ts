/**
 * The API as it runs in its thread: keys, server, app, and the commands of the main thread.
 */
import type { MessagePort } from 'node:worker_threads';
import { LetterSeal } from '../encode/letter-seal.ts';
import { toPlainError } from '../errors.ts';
import type { ApiSettings, ToApi } from '../pipeline/api-protocol.ts';
import type { QueryPort } from '../pipeline/query-port.ts';
import type { Telemetry } from '../telemetry.ts';
import { createApp } from './app.ts';
import { loadApiKeys } from './auth/key-files.ts';
import type { Front } from './front.ts';
import type { HttpServer } from './http/port.ts';
import { createHttpServer } from './http/server.ts';
import { MainPort } from './main-port.ts';
import { tally } from './tally.ts';

export interface ApiServicePorts {
  readonly store: QueryPort;
  /** For signing in and the audit only. */
  readonly accessStore: QueryPort;
  readonly port: MessagePort;
  /** False: no logs are taken, and none are told of. */
  readonly storesLogs: boolean;
  /** Called when no socket is held any more. */
  readonly onHalted: () => void;
  /** Ends the thread. */
  readonly exit: (code: number) => void;
}

const FAILED = 1;

/** Modes: `starting` → `listening` → `stopping` (requests end until the deadline) → ended by `exit`. */
export class ApiService {
  readonly #ports: ApiServicePorts;
  readonly #main: MainPort;
  readonly #server: HttpServer | undefined;
  #app: Front | undefined;

  constructor(settings: ApiSettings, ports: ApiServicePorts) {
    this.#ports = ports;
    this.#main = new MainPort(ports.port);
    ports.port.on('message', (message: ToApi) => this.#received(message));
    try {
      this.#server = this.#createServer(settings);
    } catch (error) {
      this.#failStart(error);
    }
  }

  /** Leads to the main thread. */
  get telemetry(): Telemetry {
    return this.#main;
  }

  async start(): Promise<void> {
    if (this.#server === undefined) return;
    try {
      const port = await this.#server.listen();
      this.#main.post({ kind: 'listening', port, server: this.#server.kind });
    } catch (error) {
      this.#failStart(error);
    }
  }

  /** Closes every socket at once; safe to call twice. */
  halt(): void {
    this.#server?.halt();
    this.#ports.onHalted();
  }

  #createServer(settings: ApiSettings): HttpServer {
    const app = (this.#app = createApp(
      {
        store: this.#ports.store,
        accessStore: this.#ports.accessStore,
        ...(this.#ports.storesLogs && { ingest: this.#main, stored: this.#main }),
        status: this.#main,
        telemetry: this.#main,
        keys: loadApiKeys(settings.keysDir),
        cursorSecret: Buffer.from(settings.cursorSecret),
        letterSeal: new LetterSeal(settings.letterKeys),
        now: Date.now,
      },
      { ...settings, hasTls: settings.tls !== undefined },
    ));
    const { host, port, tls, requestDeadlineMs, maxConnections } = settings;
    return createHttpServer(
      settings.server,
      {
        host,
        port,
        tls,
        requestDeadlineMs,
        handler: (request) => app.handle(request),
        failure: (error, failed) => app.failure(error, failed),
        maxConnections,
        onRefused: tally((count) => this.#main.emit('connections_refused', {}, count)),
      },
      this.#main,
    );
  }

  #received(message: ToApi): void {
    switch (message.kind) {
      case 'ingest_answer':
      case 'snapshot_answer':
      case 'stored':
        this.#main.received(message);
        return;
      case 'stop':
        void this.#stop(message.deadlineMs);
        return;
      case 'halt':
        this.halt();
        this.#ports.exit(0);
        return;
      default:
        message satisfies never;
    }
  }

  async #stop(deadlineMs: number): Promise<void> {
    this.#app?.endStreams();
    await this.#server?.stop(deadlineMs);
    await this.#app?.close();
    this.halt();
    this.#ports.exit(0);
  }

  #failStart(error: unknown): void {
    this.#main.post({ kind: 'failed', error: toPlainError(error) });
    this.#ports.exit(FAILED);
  }
}
