/**
 * Makes the data directory and the parents that it lacks, one after the other. The recursive mkdir of
 * node:fs/promises never ends where the system answers ENOENT below a parent that exists, as /proc does.
 */
import { mkdir, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorMessage, MillraceError } from '../../errors.ts';

/** Readable by its owner only. Gives the path without symbolic links; throws `config_invalid`. */
export async function makeDataDir(dataDir: string): Promise<string> {
  try {
    for (const path of await missingDirectories(dataDir)) await makeDirectory(path);
    // Of a file in the place of the directory, too.
    if (!(await stat(dataDir)).isDirectory()) throw new Error(`${dataDir} is not a directory`);
    return await realpath(dataDir);
  } catch (error) {
    throw new MillraceError('config_invalid', `DATA_DIR cannot be used: ${errorMessage(error)}.`);
  }
}

/** What does not exist of `dataDir` (absolute) and its parents, outermost first. */
async function missingDirectories(dataDir: string): Promise<string[]> {
  const missing: string[] = [];
  for (let path = dataDir; !(await exists(path)); path = dirname(path)) missing.unshift(path);
  return missing;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    // Somebody else made it in the meantime.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
