/**
 * Who holds a data directory. The lock itself is ClickHouse's: it keeps `clickhouse/status` locked while it lives
 * and writes its pid there. This file only turns that into the pid of the program to name in an error.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface DataDirOwner {
  /** The program that started the server; the server itself where that cannot be told. */
  readonly pid: number;
  /** False when the server's parent is gone: the system is about to kill it. */
  readonly isProgramAlive: boolean;
}

export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Not ours to signal, but there.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function readProc(pid: number, name: string): Promise<string> {
  return await readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
}

/** The owner of `dataDir` (absolute, without symbolic links); undefined when nobody has it. */
export async function findOwner(dataDir: string): Promise<DataDirOwner | undefined> {
  const folder = join(dataDir, 'clickhouse');
  const status = await readFile(join(folder, 'status'), 'utf8').catch(() => '');
  const serverPid = Number(/^PID: (\d+)$/m.exec(status)?.[1] ?? 0);
  if (serverPid === 0 || !isProcessAlive(serverPid)) return undefined;
  if (process.platform !== 'linux') return { pid: serverPid, isProgramAlive: true };
  const [state, commandLine] = await Promise.all([
    readProc(serverPid, 'status'),
    readProc(serverPid, 'cmdline'),
  ]);
  // After a reboot the pid in the file may be anybody's; a zombie holds nothing any more.
  if (!commandLine.includes(`--path=${folder}`) || /^State:\s+Z/m.test(state)) return undefined;
  const parentPid = Number(/^PPid:\s+(\d+)$/m.exec(state)?.[1] ?? 0);
  return parentPid > 1 ? { pid: parentPid, isProgramAlive: true } : { pid: serverPid, isProgramAlive: false };
}
