/**
 * One life of the embedded ClickHouse: from spawn to exit. Every life gets a private folder with its
 * configuration and the file into which the server writes the port it got; the folder is gone once it is up,
 * so that the key stays on disk only in run.json.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { MillraceError, quoteValue } from '../../errors.ts';
import { findEngineLibrary } from './engine-library.ts';
import { renderServerConfig } from './server-config.ts';

/** Header that carries the key of the embedded server. */
export const KEY_HEADER = 'x-millrace-key';

export interface ServerProcessOptions {
  readonly dataDir: string;
  readonly key: string;
  /** Port to listen on, on loopback; 0: any free one. */
  readonly port: number;
  readonly memoryBytes: number;
  /** How long the server may take until it answers; then it is killed. */
  readonly startTimeoutMs: number;
}

/** A server that answers. `exited` resolves once, with the last words it left. */
export interface ServerProcess {
  readonly pid: number;
  readonly port: number;
  readonly exited: Promise<string>;
  kill(): Promise<void>;
}

const POLL_MS = 20;
const PING_TIMEOUT_MS = 2000;
const MAX_LAST_WORDS = 4096;
/** A body that does not go on for this long ends its insert: who takes a lane over waits for it. */
const RECEIVE_TIMEOUT_S = 10;
const HOST = '127.0.0.1';

/** Node arguments that run the entry: the built file, or through tsx when this file is itself a source. */
function entryArguments(): string[] {
  if (!import.meta.url.endsWith('.ts')) {
    return [fileURLToPath(new URL('../../../workers/clickhouse-server.js', import.meta.url))];
  }
  const loader = createRequire(import.meta.url).resolve('tsx');
  const entry = fileURLToPath(new URL('../../../workers/clickhouse-server.ts', import.meta.url));
  return ['--import', pathToFileURL(loader).href, entry];
}

function quoteSql(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function serverArguments(options: ServerProcessOptions, folder: string): string[] {
  const portFile = quoteSql(join(folder, 'port'));
  return [
    '--multiquery',
    `--config-file=${join(folder, 'config.xml')}`,
    `--path=${join(options.dataDir, 'clickhouse')}`,
    `--listen_host=${HOST}`,
    // Of an insert whose client hangs; it has no effect in the configuration file.
    `--http_receive_timeout=${RECEIVE_TIMEOUT_S}`,
    `--http_port=${options.port}`,
    // Listening starts and the port is written by the script's own statements; the sleep holds the process.
    `--query=SYSTEM START LISTEN HTTP;
      INSERT INTO FUNCTION file(${portFile}, 'LineAsString', 'p String') SELECT toString(getServerPort('http_port'));
      SELECT sleepEachRow(3) FROM numbers(1000000000) SETTINGS function_sleep_max_microseconds_per_block = 0,
        max_block_size = 1, max_execution_time = 0 FORMAT Null`,
  ];
}

function ping(port: number, key: string): Promise<boolean> {
  return new Promise((resolve) => {
    const options = {
      host: HOST,
      port,
      path: '/ping',
      headers: { [KEY_HEADER]: key },
      timeout: PING_TIMEOUT_MS,
    };
    const attempt = request({ ...options, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    attempt.on('timeout', () => attempt.destroy());
    attempt.on('error', () => resolve(false));
    attempt.end();
  });
}

/** Collects what the process says; resolves with its end when it is gone. */
function watchExit(child: ChildProcess): Promise<string> {
  let said = '';
  const keep = (chunk: Buffer): void => {
    said = (said + chunk.toString('utf8')).slice(-MAX_LAST_WORDS);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => {
      const words = said.replace(/^Logging .*$/gm, '').trim();
      resolve(words === '' ? `exit ${signal ?? code}` : words);
    });
  });
}

async function waitUntilUp(
  options: ServerProcessOptions,
  folder: string,
  signal: AbortSignal,
): Promise<number> {
  for (;;) {
    signal.throwIfAborted();
    const text = await readFile(join(folder, 'port'), 'utf8').catch(() => '');
    const port = text.endsWith('\n') ? Number(text) : 0;
    if (port > 0 && (await ping(port, options.key))) return port;
    await sleep(POLL_MS);
  }
}

async function prepareFolder(options: ServerProcessOptions): Promise<string> {
  const { dataDir, key, memoryBytes } = options;
  const logDir = join(dataDir, 'log');
  await mkdir(join(dataDir, 'clickhouse'), { recursive: true, mode: 0o700 });
  await mkdir(logDir, { recursive: true });
  const folder = await mkdtemp(join(dataDir, 'starting-'));
  const config = renderServerConfig({
    keyHeader: KEY_HEADER,
    key,
    logPath: join(logDir, 'clickhouse.log'),
    errorLogPath: join(logDir, 'clickhouse.errors.log'),
    memoryBytes,
  });
  try {
    await writeFile(join(folder, 'config.xml'), config, { mode: 0o600 });
  } catch (error) {
    // On a full disk this is tried again and again.
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return folder;
}

/**
 * Starts the server and waits until it answers. Throws `platform_unsupported`, or `store_unavailable` with what
 * the server said when it exits or does not answer in time (it is killed then).
 */
export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  // The death signal is tied to the thread that spawned, not to the process.
  if (!isMainThread) throw new MillraceError('internal', 'ClickHouse must be started from the main thread.');
  const libraryPath = findEngineLibrary();
  const folder = await prepareFolder(options);
  const settled = new AbortController();
  const child = spawn(
    process.execPath,
    [...entryArguments(), String(process.pid), libraryPath, ...serverArguments(options, folder)],
    // A group of its own: Ctrl-C on the terminal must not end the store before the program has drained.
    { detached: true, stdio: ['ignore', 'pipe', 'pipe'], cwd: options.dataDir },
  );
  const exited = watchExit(child);
  try {
    const outcome = await Promise.race([
      waitUntilUp(options, folder, settled.signal),
      exited,
      sleep(options.startTimeoutMs, `no answer within ${options.startTimeoutMs} ms`, {
        signal: settled.signal,
      }),
    ]);
    if (typeof outcome === 'string' || child.pid === undefined) {
      child.kill('SIGKILL');
      await exited;
      throw new MillraceError('store_unavailable', `ClickHouse did not start: ${quoteValue(outcome)}.`);
    }
    const kill = async (): Promise<void> => {
      child.kill('SIGKILL');
      await exited;
    };
    return { pid: child.pid, port: outcome, exited, kill };
  } finally {
    settled.abort();
    await rm(folder, { recursive: true, force: true });
  }
}
