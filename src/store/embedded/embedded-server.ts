/**
 * Supervisor of the embedded ClickHouse. It owns the data directory through the server's own lock, keeps the port
 * over restarts (clients need not be told), and restarts with a back-off that doubles up to a cap.
 *
 * Modes: `starting` → `running` ⇄ `restarting` → `stopped`. It queues nothing; callers see retryable errors
 * of the HTTP client while it restarts. It never gives up: a disk that is full now may have room later, and
 * `lastProblem` says meanwhile what is wrong.
 */
import { randomBytes } from 'node:crypto';
import { totalmem } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, MillraceError, quoteValue } from '../../errors.ts';
import type { Telemetry } from '../../telemetry.ts';
import { findOwner } from './data-dir-owner.ts';
import { makeDataDir } from './make-data-dir.ts';
import { serverMemoryBytes } from './server-config.ts';
import {
  KEY_HEADER,
  type ServerProcess,
  type ServerProcessOptions,
  startServerProcess,
} from './server-process.ts';
import { takeStartTurn } from './start-turn.ts';

export interface EmbeddedServerOptions {
  readonly dataDir: string;
  readonly telemetry: Telemetry;
  /** Default 30 s. A start that takes longer is killed and tried again. */
  readonly startTimeoutMs?: number;
  /** Limit of the server's memory; default two fifths of the machine's, within 1–4 GiB. */
  readonly memoryBytes?: number;
}

type Mode = 'starting' | 'running' | 'restarting' | 'stopped';

const START_ATTEMPTS = 3;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 15_000;
/** A server that ran this long was healthy: the next exit starts from the shortest delay again. */
const HEALTHY_MS = 60_000;
const CRASH_LOOP_EXITS = 4;
/** A server whose parent was killed holds the directory until the system has killed it too. */
const ORPHAN_GRACE_MS = 5000;
/** A program that was just killed may look alive for a moment. */
const OWNER_GRACE_MS = 500;
const OWNER_POLL_MS = 50;
/** Longer than another program's start takes. */
const TURN_MS = 60_000;

export class EmbeddedServer {
  readonly headers: Readonly<Record<string, string>>;
  #dataDir: string;
  #mode: Mode = 'starting';
  #process: ServerProcess | undefined;
  #port = 0;
  #problem = '';
  #exitsInARow = 0;
  #supervision: Promise<void> = Promise.resolve();
  readonly #key = randomBytes(24).toString('hex');
  readonly #stopping = new AbortController();
  readonly #options: EmbeddedServerOptions;

  constructor(options: EmbeddedServerOptions) {
    this.#options = options;
    this.#dataDir = resolve(options.dataDir);
    this.headers = { [KEY_HEADER]: this.#key };
  }

  /** Address for the HTTP client; stays the same over restarts. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  /** Pid of the server process now; 0 while there is none. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#mode === 'running';
  }

  /** Why it is not running, in one sentence; empty when it is. */
  get lastProblem(): string {
    return this.#mode === 'running' ? '' : this.#problem;
  }

  /**
   * Resolves when the server answers. Throws `data_dir_in_use` naming the owner's pid, `config_invalid` when the
   * directory cannot be made, `platform_unsupported`, or `store_unavailable` after three failed attempts.
   */
  async start(): Promise<void> {
    // One spelling per directory: the owner is recognised by the path on its command line.
    this.#dataDir = await makeDataDir(this.#dataDir);
    for (let attempt = 1; ; attempt += 1) {
      const endTurn = await takeStartTurn(this.#dataDir, TURN_MS);
      try {
        await this.#refuseOwnedDirectory();
        this.#run(await startServerProcess(this.#processOptions()));
        return;
      } catch (error) {
        // Whoever took the directory between the check and the start is named by the check of the next round.
        if (attempt === START_ATTEMPTS || !isWorthRetrying(error)) throw error;
        await sleep(FIRST_DELAY_MS * 2 ** attempt);
      } finally {
        endTurn();
      }
    }
  }

  /** Ends the server for good. The data are crash-safe: what was acknowledged is on disk, so it is killed. */
  async stop(): Promise<void> {
    this.#mode = 'stopped';
    this.#stopping.abort();
    await this.#process?.kill();
    await this.#supervision;
  }

  /** Ends the server process; it is started again as after any exit. */
  async restart(): Promise<void> {
    await this.#process?.kill();
  }

  async #refuseOwnedDirectory(): Promise<void> {
    const beginning = Date.now();
    for (;;) {
      const owner = await findOwner(this.#dataDir);
      if (owner === undefined) return;
      if (Date.now() - beginning > (owner.isProgramAlive ? OWNER_GRACE_MS : ORPHAN_GRACE_MS)) {
        throw new MillraceError(
          'data_dir_in_use',
          `Data directory ${quoteValue(this.#dataDir)} is in use by process ${owner.pid}; stop it or choose another DATA_DIR.`,
        );
      }
      await sleep(OWNER_POLL_MS);
    }
  }

  #processOptions(): ServerProcessOptions {
    return {
      dataDir: this.#dataDir,
      key: this.#key,
      port: this.#port,
      memoryBytes: this.#options.memoryBytes ?? serverMemoryBytes(totalmem()),
      startTimeoutMs: this.#options.startTimeoutMs ?? 30_000,
    };
  }

  #run(server: ServerProcess): void {
    const startedAt = Date.now();
    this.#process = server;
    this.#port = server.port;
    this.#mode = 'running';
    this.#options.telemetry.emit('store_started', { pid: server.pid, port: server.port });
    this.#supervision = server.exited.then((lastWords) => this.#onExit(lastWords, Date.now() - startedAt));
  }

  async #onExit(lastWords: string, uptimeMs: number): Promise<void> {
    this.#process = undefined;
    if (this.#mode === 'stopped') return;
    this.#mode = 'restarting';
    this.#exitsInARow = uptimeMs > HEALTHY_MS ? 1 : this.#exitsInARow + 1;
    this.#report(lastWords);
    while (!this.#stopping.signal.aborted) {
      const delayMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (this.#exitsInARow - 1));
      await sleep(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      if (this.#stopping.signal.aborted) return;
      try {
        const server = await startServerProcess(this.#processOptions());
        if (this.#stopping.signal.aborted) await server.kill();
        else this.#run(server);
        return;
      } catch (error) {
        this.#exitsInARow += 1;
        this.#report(errorMessage(error));
      }
    }
  }

  #report(why: string): void {
    this.#problem = `The embedded ClickHouse exited (${this.#exitsInARow} in a row): ${quoteValue(why)}`;
    const isLooping = this.#exitsInARow >= CRASH_LOOP_EXITS;
    this.#options.telemetry.emit(isLooping ? 'store_crash_loop' : 'store_exited', {
      exits_in_a_row: this.#exitsInARow,
      reason: quoteValue(why),
    });
  }
}

function isWorthRetrying(error: unknown): boolean {
  return error instanceof MillraceError && error.isRetryable;
}
