/** Programs that a bench starts: spawned, watched, ended by their own pid; and the embedded ClickHouse below them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Path of a built file, from `dist/bench/support`. */
export function builtFile(relativePath: string): string {
  return fileURLToPath(new URL(`../../${relativePath}`, import.meta.url));
}

/** Runs to its end and gives standard output; throws when it fails. */
export async function runToEnd(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${args.join(' ')} ended with code ${code}`);
  return output;
}

/** Starts a program that runs until `end`; its standard error is shown. */
export function startProgram(args: readonly string[], env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** SIGTERM, and SIGKILL after the deadline. */
export async function end(child: ChildProcess, deadlineMs = 30_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  await closed;
  clearTimeout(timer);
}

/** Pid of the embedded ClickHouse that `parentPid` started; throws when there is none. */
export function clickhousePidOf(parentPid: number): number {
  for (const task of readdirSync(`/proc/${parentPid}/task`)) {
    const children = readFileSync(`/proc/${parentPid}/task/${task}/children`, 'utf8').trim().split(/\s+/);
    for (const pid of children) {
      if (pid === '') continue;
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('clickhouse-server')) return Number(pid);
    }
  }
  throw new Error(`process ${parentPid} has no ClickHouse below it`);
}
