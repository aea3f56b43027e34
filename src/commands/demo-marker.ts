/**
 * `DATA_DIR/demo.json`: that a data directory is a demo, and which day it shows. Written before the first event is
 * sent, so that a start that was killed in between is gone on with, and a finished one is never repeated.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage, MillraceError } from '../errors.ts';

export interface DemoMarker {
  readonly seed: number;
  /** End of the day, milliseconds since the epoch. */
  readonly endMs: number;
  /** As asked for at the first start. */
  readonly events: number;
  /** All of the day is stored. */
  readonly isComplete: boolean;
}

const FILE_NAME = 'demo.json';

/** Undefined when there is none; throws `config_invalid` for a file that cannot be understood. */
export async function readDemoMarker(dataDir: string): Promise<DemoMarker | undefined> {
  const path = join(dataDir, FILE_NAME);
  try {
    return parseMarker(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MillraceError('config_invalid', `${path} cannot be read: ${errorMessage(error)}.`);
  }
}

export async function writeDemoMarker(dataDir: string, marker: DemoMarker): Promise<void> {
  const path = join(dataDir, FILE_NAME);
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify(marker)}\n`, { mode: 0o600 });
  await rename(temporary, path);
}

function parseMarker(value: unknown): DemoMarker {
  const { seed, endMs, events, isComplete } = value as Partial<DemoMarker>;
  const isWhole = [seed, endMs, events].every((number) => Number.isSafeInteger(number));
  if (!isWhole || typeof isComplete !== 'boolean') throw new TypeError('it is no mark of a demo');
  return value as DemoMarker;
}
