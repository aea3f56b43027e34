/**
 * `millrace up`, `process` and `api` as processes of their own: in a process group each, as a terminal starts
 * them, with the signals that people and systems send them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { localTokenSource } from '../../src/commands/local-token.ts';
import { createStore, type Store } from '../../src/store/clickhouse-client.ts';
import { type RunFile, readRunFile } from '../../src/store/run-file.ts';
import { until } from './until.ts';

export interface ProgramOptions {
  readonly command?: 'up' | 'process' | 'api';
  readonly dataDir: string;
  /** `MILLRACE_…` variables without the prefix. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Further variables of its environment, and of the ClickHouse it starts, as they are. */
  readonly environment?: Readonly<Record<string, string>>;
  /** True: from `dist`, without the loader of the sources and its memory. */
  readonly isBuilt?: boolean;
}

export interface ExitedProgram {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const SOURCE = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const BUILT = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));
const READY_MS = 60_000;

/** Starts it; does not wait for anything. What is still running ends with the test process. */
export async function startProgram(options: ProgramOptions): Promise<Program> {
  const { PATH = '', HOME = '' } = process.env;
  const entry = options.isBuilt === true ? [BUILT] : ['--import', import.meta.resolve('tsx'), SOURCE];
  if (options.isBuilt === true) {
    await access(BUILT).catch(() => {
      throw new Error(`There is no ${BUILT}: run "npm run build" first.`);
    });
  }
  const settings = {
    DATA_DIR: options.dataDir,
    HTTP_PORT: '0',
    MIN_FREE_DISK_MB: '0',
    ...options.settings,
  };
  const env = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`MILLRACE_${name}`, value]),
  );
  const child = spawn(process.execPath, [...entry, options.command ?? 'up', '--json'], {
    env: { PATH, HOME, ...env, ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  return new Program(child, options.dataDir);
}

export class Program {
  readonly exited: Promise<ExitedProgram>;
  readonly #child: ChildProcess;
  readonly #dataDir: string;
  readonly #onExit = (): void => {
    this.#child.kill('SIGKILL');
  };
  #printed = '';
  #end: ExitedProgram | undefined;
  #running: RunFile | undefined;
  #apiUrl: string | undefined;

  constructor(child: ChildProcess, dataDir: string) {
    this.#child = child;
    this.#dataDir = dataDir;
    process.once('exit', this.#onExit);
    const keep = (chunk: Buffer): void => {
      this.#printed += chunk.toString();
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#end = { code, signal };
        process.removeListener('exit', this.#onExit);
        resolve(this.#end);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Base address of its API. Only after `ready`. */
  get apiUrl(): string {
    if (this.#apiUrl === undefined) throw new Error('Wait for ready() first.');
    return this.#apiUrl;
  }

  /** All it printed so far, on both streams. */
  get printed(): string {
    return this.#printed;
  }

  get hasExited(): boolean {
    return this.#end !== undefined;
  }

  /** Resolves when `up` serves its API. */
  async ready(): Promise<void> {
    await until(
      async () => {
        if (this.hasExited) throw new Error(`It ended (${JSON.stringify(this.#end)}): ${this.#printed}`);
        this.#running = await readRunFile(this.#dataDir);
        // At an external ClickHouse there is no such file, but the banner.
        this.#apiUrl = this.#running?.apiUrl ?? /Millrace is ready +(\S+)/.exec(this.#printed)?.[1];
        return this.#apiUrl !== undefined;
      },
      { timeoutMs: READY_MS, seen: () => this.#printed.slice(-2000) },
    );
  }

  /** Sends a signal to it alone. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends a signal to its whole process group, as a terminal does on Ctrl-C. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  /** SIGKILL, if it still runs; resolves when it is gone. */
  async kill(): Promise<void> {
    if (!this.hasExited) this.#child.kill('SIGKILL');
    await this.exited;
  }

  /** A client of its embedded ClickHouse; close it. Only after `ready`. */
  openStore(): Store {
    const { port, header, key } = this.#run().clickhouse;
    return createStore({ url: `http://127.0.0.1:${port}`, headers: { [header]: key }, database: 'millrace' });
  }

  /** GET without a login. */
  async probe(path: string): Promise<{ status: number; body: unknown }> {
    const answer = await fetch(new URL(path, this.#apiUrl));
    return { status: answer.status, body: await answer.json() };
  }

  /** GET as a viewer. */
  // oxlint-disable-next-line typescript/no-explicit-any
  async get(path: string): Promise<any> {
    const token = await localTokenSource(this.#dataDir, 'viewer')?.();
    const headers = { Authorization: `Bearer ${token ?? ''}` };
    const answer = await fetch(new URL(path, this.#apiUrl), { headers });
    if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
    return await answer.json();
  }

  /** POST as a writer; rejects when the program is gone before it answers. */
  async post(path: string, body: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    const token = await localTokenSource(this.#dataDir, 'writer')?.();
    const authorization = { Authorization: `Bearer ${token ?? ''}` };
    const init = { method: 'POST', headers: { ...authorization, ...headers }, body };
    return await fetch(new URL(path, this.#apiUrl), init);
  }

  /** Reasons that `/readyz` gives; none: ready. */
  async problems(): Promise<string[]> {
    const { body } = await this.probe('/readyz');
    const { reasons = [] } = body as { readonly reasons?: readonly { readonly reason: string }[] };
    return reasons.map(({ reason }) => reason);
  }

  /** Pid of its embedded ClickHouse, as the server itself wrote it down. */
  async clickhousePid(): Promise<number> {
    const status = await readFile(`${this.#dataDir}/clickhouse/status`, 'utf8');
    return Number(/^PID: (\d+)$/m.exec(status)?.[1]);
  }

  /** Resident memory now and at its highest, in bytes. */
  async residentBytes(): Promise<{ now: number; peak: number }> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    const bytes = (name: string): number =>
      1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
    return { now: bytes('VmRSS'), peak: bytes('VmHWM') };
  }

  #run(): RunFile {
    if (this.#running === undefined) throw new Error('Wait for ready() first.');
    return this.#running;
  }
}
