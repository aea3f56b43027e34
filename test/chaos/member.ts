/**
 * One member of the group under test: the built program as a process that can be started again and again on the same
 * data directory and port, and what can be seen of it from outside: `/readyz` all the time, memory, open files.
 */
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { createStore, type Store } from '../../src/store/clickhouse-client.ts';
import { isProcessAlive } from '../../src/store/embedded/data-dir-owner.ts';
import { readRunFile } from '../../src/store/run-file.ts';
import { type ExitedProgram, type Program, startProgram } from '../support/program.ts';
import { until } from '../support/until.ts';

export interface MemberOptions {
  readonly name: string;
  /** `process` needs an external ClickHouse: CLICKHOUSE_URL among the settings. */
  readonly command: 'up' | 'process';
  readonly dataDir: string;
  /** Where it answers `/readyz`. */
  readonly port: number;
  /** `MILLRACE_…` variables without the prefix. */
  readonly settings: Readonly<Record<string, string>>;
  /** Further variables of its environment, as they are. */
  readonly environment: Readonly<Record<string, string>>;
  /** Joined to the failpoints of every start: the sabotage. */
  readonly failpoints: readonly string[];
}

/** What `/readyz` said from `atMs` (since the member was made) on: `ready`, its reasons, `down` or `silent`. */
export interface ReadyState {
  readonly atMs: number;
  readonly state: string;
}

export interface Resources {
  readonly residentBytes: number;
  readonly openFiles: number;
}

const POLL_MS = 200;
const PROBE_TIMEOUT_MS = 1000;
const METRICS_TIMEOUT_MS = 5000;
const READY_MS = 60_000;
const SAMPLE_COUNT = 5;
const SAMPLE_INTERVAL_MS = 400;
const PRINTED_TAIL = 1500;

export class Member {
  readonly name: string;
  /** What `/readyz` said over time. */
  readonly timeline: ReadyState[] = [{ atMs: 0, state: 'down' }];
  /** Starts so far. */
  startCount = 0;
  readonly #options: MemberOptions;
  readonly #madeAt = Date.now();
  readonly #url: string;
  readonly #stores = new Map<number, Store>();
  #program: Program | undefined;
  #polling: NodeJS.Timeout | undefined;
  #isProbing = false;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.name = options.name;
    this.#url = `http://127.0.0.1:${options.port}`;
  }

  get dataDir(): string {
    return this.#options.dataDir;
  }

  get pid(): number {
    return this.#running.pid;
  }

  get isRunning(): boolean {
    return this.#program !== undefined && !this.#program.hasExited;
  }

  /** How the last start ended. */
  get exited(): Promise<ExitedProgram> {
    return this.#running.exited;
  }

  /** All that the last start printed. */
  get printed(): string {
    return this.#running.printed;
  }

  get printedTail(): string {
    return this.#program?.printed.slice(-PRINTED_TAIL) ?? '(never started)';
  }

  /** Whether the system has it stopped (SIGSTOP). */
  get isStopped(): boolean {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
  }

  get state(): string {
    return this.timeline.at(-1)?.state ?? 'down';
  }

  /**
   * Spawns it and waits for nothing. The failpoints are for this start alone. `isWhole`: with all safeguards, also
   * where the run leaves one out.
   */
  async start(failpoints = '', { isWhole = false } = {}): Promise<void> {
    const { command, dataDir, settings, environment, failpoints: sabotage, port } = this.#options;
    const armed = [failpoints, ...(isWhole ? [] : sabotage)].filter((entry) => entry !== '').join(',');
    this.#program = await startProgram({
      command,
      dataDir,
      isBuilt: true,
      environment,
      settings: {
        [command === 'up' ? 'HTTP_PORT' : 'ADMIN_PORT']: String(port),
        ...settings,
        ...(armed !== '' && { FAILPOINTS: armed }),
      },
    });
    this.startCount += 1;
    this.#polling ??= setInterval(() => void this.#poll(), POLL_MS);
  }

  /** Resolves when `/readyz` says so. */
  async ready(timeoutMs = READY_MS): Promise<void> {
    await until(
      async () => {
        if (!this.isRunning) throw new Error(`${this.name} ended before it was ready: ${this.printedTail}`);
        return (await this.#probe()) === 'ready';
      },
      { timeoutMs, intervalMs: 100, seen: () => ({ state: this.state, printed: this.printedTail }) },
    );
  }

  signal(signal: NodeJS.Signals): void {
    this.#running.signal(signal);
  }

  /** SIGKILL; resolves when it is gone, and its embedded ClickHouse too. */
  async kill(): Promise<void> {
    const running = await readRunFile(this.dataDir).catch(() => undefined);
    const clickhouse = running === undefined ? 0 : await this.clickhousePid().catch(() => 0);
    await this.#program?.kill();
    if (clickhouse > 0) await until(() => !isProcessAlive(clickhouse), { timeoutMs: 10_000 });
  }

  /** SIGTERM, a drain, and how it ended. Rejects when that takes longer. */
  async stop(timeoutMs = 40_000): Promise<ExitedProgram> {
    this.signal('SIGTERM');
    return await this.end(timeoutMs);
  }

  /** Waits until it ends by itself, and tells how. */
  async end(timeoutMs = READY_MS): Promise<ExitedProgram> {
    await until(() => !this.isRunning, { timeoutMs, seen: () => this.printedTail });
    return await this.exited;
  }

  async clickhousePid(): Promise<number> {
    return await this.#running.clickhousePid();
  }

  /** A client of its embedded ClickHouse, closed with the member; undefined while there is none to reach. */
  async embeddedStore(): Promise<Store | undefined> {
    const running = this.isRunning ? await readRunFile(this.dataDir) : undefined;
    if (running === undefined || running.pid !== this.pid) return undefined;
    const { port, header, key } = running.clickhouse;
    const known = this.#stores.get(port);
    if (known !== undefined) return known;
    const url = `http://127.0.0.1:${port}`;
    const store = createStore({ url, headers: { [header]: key }, database: 'millrace' });
    this.#stores.set(port, store);
    return store;
  }

  /** Least resident memory and open files over two seconds: of an idle program, not of its garbage. */
  async resources(): Promise<Resources> {
    let least: Resources = { residentBytes: Number.POSITIVE_INFINITY, openFiles: Number.POSITIVE_INFINITY };
    for (let i = 0; i < SAMPLE_COUNT; i++) {
      const now = await readResources(this.pid);
      least = {
        residentBytes: Math.min(least.residentBytes, now.residentBytes),
        openFiles: Math.min(least.openFiles, now.openFiles),
      };
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_INTERVAL_MS));
    }
    return least;
  }

  /** Resident memory at its highest, since the last start. */
  async peakBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    return 1024 * Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]);
  }

  /** A counter without labels of `/metrics`: exact, where log lines are thinned out. 0 while it was never counted. */
  async counter(name: string): Promise<number> {
    const answer = await fetch(`${this.#url}/metrics`, { signal: AbortSignal.timeout(METRICS_TIMEOUT_MS) });
    const line = (await answer.text()).split('\n').find((text) => text.startsWith(`${name} `));
    return Number(line?.slice(name.length) ?? 0);
  }

  /** Whether `/readyz` said all these reasons at one time or another since `sinceMs` (of `Date.now()`). */
  saidSince(sinceMs: number, ...reasons: readonly string[]): boolean {
    const states = this.statesSince(sinceMs);
    return reasons.every((reason) => states.some((state) => state.split(',').includes(reason)));
  }

  /** The states that stood at or after that time, and before the other. */
  statesSince(sinceMs: number, untilMs = Number.POSITIVE_INFINITY): string[] {
    const since = sinceMs - this.#madeAt;
    const first = this.timeline.findLastIndex(({ atMs }) => atMs <= since);
    const states = this.timeline.slice(Math.max(0, first));
    return states.filter(({ atMs }) => atMs < untilMs - this.#madeAt).map(({ state }) => state);
  }

  /** Ends it and everything that belongs to it. */
  async close(): Promise<void> {
    clearInterval(this.#polling);
    if (this.isRunning) this.signal('SIGCONT');
    await this.kill();
    for (const store of this.#stores.values()) await store.close();
  }

  get #running(): Program {
    if (this.#program === undefined) throw new Error(`${this.name} was never started.`);
    return this.#program;
  }

  async #poll(): Promise<void> {
    if (this.#isProbing) return;
    this.#isProbing = true;
    await this.#probe();
    this.#isProbing = false;
  }

  /** Asks `/readyz` and writes down what it says. */
  async #probe(): Promise<string> {
    const state = await this.#ask();
    if (state !== this.state) this.timeline.push({ atMs: Date.now() - this.#madeAt, state });
    return state;
  }

  async #ask(): Promise<string> {
    try {
      const answer = await fetch(`${this.#url}/readyz`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
      if (answer.status === 200) return 'ready';
      const { reasons = [] } = (await answer.json()) as { readonly reasons?: { readonly reason: string }[] };
      return reasons
        .map(({ reason }) => reason)
        .toSorted((a, b) => a.localeCompare(b))
        .join(',');
    } catch (error) {
      // A connection that breaks off says nothing either: it may be one that the poll left idle for too long.
      const { cause } = error as { readonly cause?: { readonly code?: string } };
      return cause?.code === 'ECONNREFUSED' ? 'down' : 'silent';
    }
  }
}

async function readResources(pid: number): Promise<Resources> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const residentKib = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]);
  const files = await readdir(`/proc/${pid}/fd`);
  return { residentBytes: residentKib * 1024, openFiles: files.length };
}
