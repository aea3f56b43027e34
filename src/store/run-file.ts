/**
 * `DATA_DIR/run.json`: how other commands reach the running program. Written in one step, readable by its owner
 * only, since it holds the key of the embedded ClickHouse. A file whose program is gone counts as absent.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage, MillraceError } from '../errors.ts';
import { isProcessAlive } from './embedded/data-dir-owner.ts';

export interface RunFile {
  /** Pid of the program (not of its ClickHouse). */
  readonly pid: number;
  /** When the system started that process, as the system counts; tells it from a later one with its pid. */
  readonly processStart: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly clickhouse: {
    readonly port: number;
    readonly header: string;
    readonly key: string;
  };
  /** Address of the HTTP API, added once it listens. */
  readonly apiUrl?: string;
}

export type RunDetails = Pick<RunFile, 'clickhouse' | 'apiUrl'>;

const FILE_NAME = 'run.json';
/** Position of `starttime` among the fields after the command name in /proc/PID/stat (proc(5)). */
const START_TIME_FIELD = 19;

/** Start time of a process in the system's own unit; empty where the system does not tell. */
async function readProcessStart(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_TIME_FIELD] ?? '';
}

/** Writes the file for this process, replacing what is there; call again to add `apiUrl`. */
export async function writeRunFile(dataDir: string, details: RunDetails): Promise<void> {
  const startedAt = new Date(Date.now() - process.uptime() * 1000).toISOString();
  const processStart = await readProcessStart(process.pid);
  const content: RunFile = { pid: process.pid, processStart, startedAt, ...details };
  const path = join(dataDir, FILE_NAME);
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600 });
  await rename(temporary, path);
}

/** The file of the program that runs on `dataDir` now; undefined when none does. */
export async function readRunFile(dataDir: string): Promise<RunFile | undefined> {
  const path = join(dataDir, FILE_NAME);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MillraceError('config_invalid', `${path} cannot be read: ${errorMessage(error)}.`);
  }
  const content = parseRunFile(text);
  if (content === undefined || !isProcessAlive(content.pid)) return undefined;
  const isSameProcess = (await readProcessStart(content.pid)) === content.processStart;
  return isSameProcess ? content : undefined;
}

function parseRunFile(text: string): RunFile | undefined {
  try {
    const content = JSON.parse(text) as Partial<RunFile> | null;
    const isComplete = typeof content?.pid === 'number' && typeof content.clickhouse?.port === 'number';
    return isComplete ? (content as RunFile) : undefined;
  } catch {
    return undefined;
  }
}

/** Removes the file if it is this process's own. */
export async function removeRunFile(dataDir: string): Promise<void> {
  const content = await readRunFile(dataDir);
  if (content?.pid === process.pid) await rm(join(dataDir, FILE_NAME), { force: true });
}
