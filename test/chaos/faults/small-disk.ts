/**
 * A small disk of its own for a data directory: a tmpfs, with a file that takes the room away and gives it back.
 * Mounting needs root, or sudo without a password.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const FILLER = 'filler';

export class SmallDisk {
  /** Where it is mounted. */
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.path);
    return bavail * bsize;
  }

  /** Takes all room but `leaveBytes`, whatever else is written or removed meanwhile. */
  async fill(leaveBytes: number): Promise<void> {
    const block = Buffer.alloc(MIB, 1);
    const file = await open(join(this.path, FILLER), 'a');
    try {
      for (;;) {
        const excess = (await this.freeBytes()) - leaveBytes;
        if (excess < 4096) return;
        await file.write(block, 0, Math.min(excess, MIB));
      }
    } catch (error) {
      // Somebody else took the last of it.
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      await file.close();
    }
  }

  /** Gives back what `fill` took. */
  async free(): Promise<void> {
    await rm(join(this.path, FILLER), { force: true });
  }

  /** Whoever still has files open on it keeps them until it ends. */
  async unmount(): Promise<void> {
    await asRoot('umount', '--lazy', this.path);
    await rm(this.path, { recursive: true, force: true });
  }
}

async function asRoot(command: string, ...args: readonly string[]): Promise<void> {
  if (process.getuid?.() === 0) await run(command, args);
  else await run('sudo', ['-n', command, ...args]);
}

/** Empty: this machine lets us mount one; otherwise why not. */
export async function smallDiskProblem(): Promise<string> {
  try {
    const disk = await mountSmallDisk(MIB);
    await disk.unmount();
    return '';
  } catch (error) {
    return `a tmpfs cannot be mounted here, which takes root or sudo: ${String(error)}`;
  }
}

/** Mounts it on a new directory. */
export async function mountSmallDisk(sizeBytes: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-disk-'));
  try {
    await asRoot('mount', '-t', 'tmpfs', '-o', `size=${sizeBytes},mode=0777`, 'millrace-test', path);
  } catch (error) {
    await rm(path, { recursive: true });
    throw error;
  }
  return new SmallDisk(path);
}
