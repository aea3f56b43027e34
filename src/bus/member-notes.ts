/**
 * Notes of who is a member of a Kafka group: one file per source in `DATA_DIR/kafka-members`. A program that is
 * killed leaves its note behind; the next one on the same host reads it and leaves the group in the dead member's
 * name, in place of waiting until its session has run out.
 *
 * A note is a help and never needed: what goes wrong with it is told and changes nothing else.
 */
import { randomUUID } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { errorMessage } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';

export interface Membership {
  readonly groupId: string;
  readonly memberId: string;
}

/** A member whose process is gone; `file` is the name of its note. */
export interface DeadMember extends Membership {
  readonly file: string;
}

/** A process, as it can be found again: only where all of it but the last two is equal do pids mean the same. */
interface ProcessIdentity {
  readonly host: string;
  /** Another one after each start of the system. */
  readonly bootId: string;
  /** A container has one of its own. */
  readonly pidNamespace: string;
  readonly pid: number;
  /** When the system started the process, as the system counts; tells it from a later one with its pid. */
  readonly processStart: string;
}

type Note = Membership & ProcessIdentity;

/** Read at one start; what is beyond is read by later ones. */
const MAX_NOTES = 100;
const MAX_NOTE_BYTES = 4096;
/** A note that is of no use to this host is kept as long. No session lasts longer. */
const MAX_AGE_MS = 24 * 60 * 60 * 1000;
/** Position of `starttime` among the fields after the command name in /proc/PID/stat (proc(5)). */
const START_TIME_FIELD = 19;

/** The note of one source, and what others left behind. Without /proc it does nothing. */
export class MemberNotes {
  readonly #directory: string;
  readonly #telemetry: Telemetry;
  readonly #file = `${randomUUID()}.json`;
  /** One after the other, so that the last word is what stays. */
  #changes: Promise<void> = Promise.resolve();

  constructor(directory: string, telemetry: Telemetry) {
    this.#directory = directory;
    this.#telemetry = telemetry;
  }

  /** This source is a member under this id now. Never rejects. */
  keep({ groupId, memberId }: Membership): Promise<void> {
    return this.#change(async () => {
      const self = await identifySelf();
      if (self === undefined) return;
      await makeDirectory(this.#directory);
      const note: Note = { groupId, memberId, ...self };
      const path = this.#pathOf(this.#file);
      // In one step: whoever is killed meanwhile leaves the former note or this one.
      await writeFile(`${path}.new`, `${JSON.stringify(note)}\n`, { mode: 0o600 });
      await rename(`${path}.new`, path);
    });
  }

  /** This source has left the group. Never rejects. */
  drop(): Promise<void> {
    return this.forget(this.#file);
  }

  /** Never rejects. */
  forget(file: string): Promise<void> {
    return this.#change(() => rm(this.#pathOf(file), { force: true }));
  }

  /** Members of the group whose processes ran on this host and are surely gone. Never rejects. */
  async findDead(groupId: string): Promise<readonly DeadMember[]> {
    try {
      const self = await identifySelf();
      if (self === undefined) return [];
      const files = await listFiles(this.#directory);
      const dead: DeadMember[] = [];
      for (const file of files.slice(0, MAX_NOTES)) {
        const note = await this.#readDead(file, self).catch((error: unknown) => this.#tell(error));
        if (note?.groupId === groupId) dead.push({ groupId, memberId: note.memberId, file });
      }
      return dead;
    } catch (error) {
      this.#tell(error);
      return [];
    }
  }

  /** The note if its process is gone; removes it when it can be of no use any more. */
  async #readDead(file: string, self: ProcessIdentity): Promise<Note | undefined> {
    const path = this.#pathOf(file);
    const found = await lstat(path);
    if (!found.isFile()) return undefined;
    const note = found.size <= MAX_NOTE_BYTES ? parseNote(await readFile(path, 'utf8')) : undefined;
    const isHere = note !== undefined && isSamePlace(note, self);
    if (isHere && !(await isGone(note))) return undefined;
    const isOfPastBoot = note?.host === self.host && note.bootId !== self.bootId;
    if (isOfPastBoot || Date.now() - found.mtimeMs > MAX_AGE_MS) await this.forget(file);
    return isHere ? note : undefined;
  }

  #change(action: () => Promise<void>): Promise<void> {
    this.#changes = this.#changes.then(action).catch((error: unknown) => {
      this.#tell(error);
    });
    return this.#changes;
  }

  #tell(error: unknown): undefined {
    this.#telemetry.emit('member_note_failed', { error: errorMessage(error) });
    return undefined;
  }

  #pathOf(file: string): string {
    return join(this.#directory, file);
  }
}

/** This process; undefined where the system does not tell, or tells of other pids than ours. */
async function identifySelf(): Promise<ProcessIdentity | undefined> {
  try {
    if ((await readlink('/proc/self')) !== String(process.pid)) return undefined;
    return {
      host: hostname(),
      bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
      pidNamespace: await readlink('/proc/self/ns/pid'),
      pid: process.pid,
      processStart: await readProcessStart(process.pid),
    };
  } catch {
    return undefined;
  }
}

async function readProcessStart(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_TIME_FIELD] ?? '';
}

function isSamePlace(one: ProcessIdentity, other: ProcessIdentity): boolean {
  return one.host === other.host && one.bootId === other.bootId && one.pidNamespace === other.pidNamespace;
}

/** False in doubt: a process that is stopped, not ours to see, or a zombie whose threads may still run, is there. */
async function isGone({ pid, processStart }: ProcessIdentity): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  const start = await readProcessStart(pid).catch(() => '');
  return start !== '' && start !== processStart;
}

async function listFiles(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Undefined for what is no whole note. */
function parseNote(text: string): Note | undefined {
  try {
    const note = JSON.parse(text) as Partial<Note> | null;
    const { groupId, memberId, host, bootId, pidNamespace, pid, processStart } = note ?? {};
    const texts = [groupId, memberId, host, bootId, pidNamespace, processStart];
    const isWhole =
      texts.every((value) => typeof value === 'string' && value !== '') &&
      Number.isSafeInteger(pid) &&
      (pid ?? 0) > 0;
    return isWhole ? (note as Note) : undefined;
  } catch {
    return undefined;
  }
}
