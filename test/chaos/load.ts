/** Load from the seeded producer: `millrace produce` as a process of its own, with its ledger file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { GeneratorOptions } from '../../src/produce/generator.ts';
import { until } from '../support/until.ts';

export interface LoadOptions {
  readonly brokers: readonly string[];
  readonly topic: string;
  /** Events per second; 0: as fast as Kafka takes them. */
  readonly rate: number;
  /** Absent: until `stop`. */
  readonly count?: number;
  readonly seed: number;
  readonly firstSeq: number;
  readonly ledgerFile: string;
}

const PROGRAM = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));
const STOP_MS = 90_000;
/** Event time begins so long ago and passes so many times faster than the clock: many minutes, several hours. */
const START_AGO_S = 6 * 3600;
const TIME_FACTOR = 10;
/** What event time is made for where events come as fast as they can. */
const FULL_SPEED_RATE = 50_000;
const HOSTS = 40;

export class Load {
  readonly ledgerFile: string;
  /** What makes the same events again. */
  readonly generator: GeneratorOptions;
  readonly #child: ChildProcess;
  readonly #onExit = (): void => {
    this.#child.kill('SIGKILL');
  };
  #printed = '';
  #code: number | null | undefined;

  constructor(options: LoadOptions) {
    this.ledgerFile = options.ledgerFile;
    const startS = Math.floor(Date.now() / 1000) - START_AGO_S;
    const { seed, firstSeq, topic } = options;
    this.generator = {
      kind: 'mixed',
      seed,
      startUs: startS * 1_000_000,
      rate: (options.rate === 0 ? FULL_SPEED_RATE : options.rate) / TIME_FACTOR,
      hosts: HOSTS,
      firstSeq,
      topic,
    };
    const flags: Record<string, string | number> = {
      rate: options.rate,
      kind: 'mixed',
      topic,
      seed,
      start: new Date(startS * 1000).toISOString(),
      'event-rate': this.generator.rate,
      hosts: HOSTS,
      'first-seq': firstSeq,
      ledger: options.ledgerFile,
      brokers: options.brokers.join(','),
    };
    if (options.count !== undefined) flags['count'] = options.count;
    const { PATH = '', HOME = '' } = process.env;
    const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.#child = spawn(process.execPath, [PROGRAM, 'produce', ...args, '--json'], {
      env: { PATH, HOME },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const keep = (chunk: Buffer): void => {
      this.#printed = (this.#printed + chunk.toString()).slice(-4000);
    };
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
    this.#child.once('close', (code) => {
      this.#code = code;
      process.removeListener('exit', this.#onExit);
    });
    process.once('exit', this.#onExit);
  }

  get isRunning(): boolean {
    return this.#code === undefined;
  }

  /** Records that Kafka acknowledged so far, by the ledger file. */
  async sentCount(): Promise<number> {
    const text = await readFile(this.ledgerFile, 'latin1').catch(() => '');
    let count = 0;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count += 1;
    return count;
  }

  /** Resolves when at least so many are acknowledged. */
  async sent(count: number, timeoutMs = STOP_MS): Promise<void> {
    await until(async () => (await this.sentCount()) >= count, {
      timeoutMs,
      intervalMs: 100,
      seen: () => this.#printed,
    });
  }

  /** Tells it to stop (Ctrl-C) and waits for what is under way. Throws when it had failed, unless that is allowed. */
  async stop({ mayFail = false } = {}): Promise<void> {
    if (this.isRunning) this.#child.kill('SIGINT');
    await this.finished({ mayFail });
  }

  /** Waits until `count` were sent. */
  async finished({ mayFail = false, timeoutMs = STOP_MS } = {}): Promise<void> {
    await until(() => !this.isRunning, { timeoutMs, seen: () => this.#printed });
    if (this.#code !== 0 && !mayFail) throw new Error(`The producer failed: ${this.#printed}`);
  }

  kill(): void {
    if (this.isRunning) this.#child.kill('SIGKILL');
  }
}
