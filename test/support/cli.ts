/**
 * Runs the command line as a user does: a process of its own, from the build that `npm test` makes first.
 */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
  /** Sends SIGINT once this text was printed on either stream. */
  readonly interruptAfter?: string;
}

const MAIN = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));

export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH, HOME, ...options.env },
    cwd: options.cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    let isInterrupted = false;
    const check = (): void => {
      const { interruptAfter } = options;
      if (interruptAfter === undefined || isInterrupted || !(stdout + stderr).includes(interruptAfter))
        return;
      isInterrupted = true;
      child.kill('SIGINT');
    };
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      check();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      check();
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

export interface RunningCli {
  /** Resolves with everything printed so far, once `text` is in it; rejects when the process ends before. */
  waitFor(text: string): Promise<string>;
  /** Sends SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** Starts a command that goes on until it is stopped. */
export function startCli(args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningCli {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', resolve);
  });
  const keep = (chunk: Buffer): void => {
    printed += chunk.toString();
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return {
    async waitFor(text) {
      const failed = ended.then((code) => {
        throw new Error(`ended with ${String(code)} before ${JSON.stringify(text)}:\n${printed}`);
      });
      failed.catch(() => {});
      while (!printed.includes(text)) await Promise.race([sleep(50), failed]);
      return printed;
    },
    async stop() {
      child.kill('SIGTERM');
      return await ended;
    },
  };
}
