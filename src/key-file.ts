/**
 * Keys in files that only their owner can read, made at the first start.
 */
import { randomBytes } from 'node:crypto';
import {
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { MillraceError } from './errors.ts';

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS = 0o077;

export function makeKeyDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
}

/** The text of a key file, made where there is none. Two programs that start at once get the same text. */
export function readOrMakeKey(path: string, make: () => string): string {
  const present = readKey(path);
  if (present !== undefined) return present;
  // Written aside and linked: the name appears with its contents or, if another was faster, not at all.
  const aside = writeAside(path, make());
  try {
    linkSync(aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(aside);
  }
  return readFileSync(path, 'utf8');
}

/** Puts `text` in the place of a key file at once, made at `nowMs`: readers see the old text or the new one. */
export function replaceKey(path: string, text: string, nowMs: number): void {
  const aside = writeAside(path, text);
  utimesSync(aside, nowMs / 1000, nowMs / 1000);
  renameSync(aside, path);
}

function writeAside(path: string, text: string): string {
  const aside = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeFileSync(aside, text, { mode: FILE_MODE, flag: 'wx' });
  return aside;
}

/** The text of a key file; undefined when there is none. Throws `config_invalid` when others could read it too. */
export function readKey(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (process.platform !== 'win32' && (statSync(path).mode & OTHERS) !== 0) {
    throw new MillraceError('config_invalid', `${path} can be read by others than its owner: chmod 600 it.`);
  }
  return text;
}
