/**
 * Members of the consumer group that died without leaving it. The broker would keep their partitions until their
 * session ends (45 s); whoever starts next in the same directory leaves in their name, so that a restart goes on at once.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** One member of one process; the file's name is random. */
interface MemberNote {
  readonly groupId: string;
  readonly memberId: string;
  readonly host: string;
  readonly pid: number;
  /** Start of the process as the system counts it, so that a pid given anew is told apart; empty where unknown. */
  readonly startedAt: string;
}

interface GroupOfKafkajs {
  readonly groupId: string;
  readonly cluster: {
    findGroupCoordinator(group: { readonly groupId: string }): Promise<{
      leaveGroup(member: { readonly groupId: string; readonly memberId: string }): Promise<unknown>;
    }>;
  };
  joinAndSync: (this: GroupOfKafkajs) => Promise<unknown>;
}

/** Dead members by group, until the next join of this process leaves in their name. */
const deadMembers = new Map<string, string[]>();

/** kafkajs has no call for it: the next join of the group asks the coordinator itself. */
export function leaveBeforeJoining({ prototype }: { readonly prototype: GroupOfKafkajs }): void {
  const { joinAndSync } = prototype;
  prototype.joinAndSync = async function joinAfterLeaving(this: GroupOfKafkajs): Promise<unknown> {
    const { groupId } = this;
    const memberIds = deadMembers.get(groupId) ?? [];
    deadMembers.delete(groupId);
    try {
      if (memberIds.length > 0) {
        const coordinator = await this.cluster.findGroupCoordinator({ groupId });
        for (const memberId of memberIds) await coordinator.leaveGroup({ groupId, memberId });
      }
    } catch {
      // The broker has forgotten it, or cannot be asked: then the session's end decides, as ever.
    }
    return await joinAndSync.call(this);
  };
}

/** The note of this process's membership in `directory`. A note that cannot be written or read costs time only. */
export class MemberNotes {
  readonly #directory: string;
  readonly #file: string;

  constructor(directory: string) {
    this.#directory = directory;
    this.#file = join(directory, `${randomUUID()}.json`);
  }

  /** Finds the members of the group that processes of this host left behind; the next join removes them. */
  async collectDead(groupId: string): Promise<void> {
    try {
      const names = await readdir(this.#directory);
      const dead = await Promise.all(names.map((name) => this.#takeDead(join(this.#directory, name), groupId)));
      const memberIds = dead.filter((memberId) => memberId !== undefined);
      if (memberIds.length > 0) deadMembers.set(groupId, memberIds);
    } catch {
      // No directory: nobody was here before.
    }
  }

  async remember(groupId: string, memberId: string): Promise<void> {
    const { pid } = process;
    const note: MemberNote = {
      groupId,
      memberId,
      host: hostname(),
      pid,
      startedAt: await processStart(pid),
    };
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await writeFile(this.#file, JSON.stringify(note), { mode: 0o600 });
    } catch {
      // A full disk: the next start waits for the session to end.
    }
  }

  async forget(): Promise<void> {
    await rm(this.#file, { force: true }).catch(() => undefined);
  }

  async #takeDead(path: string, groupId: string): Promise<string | undefined> {
    try {
      const note = JSON.parse(await readFile(path, 'utf8')) as MemberNote;
      if (note.host !== hostname() || note.groupId !== groupId || (await isAlive(note))) return undefined;
      await rm(path, { force: true });
      return note.memberId;
    } catch {
      return undefined;
    }
  }
}

async function isAlive({ pid, startedAt }: MemberNote): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return startedAt === (await processStart(pid));
}

/** Start time in clock ticks since boot, field 22 of /proc/PID/stat (proc(5)); empty where there is no /proc. */
async function processStart(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field is the name in brackets and may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
