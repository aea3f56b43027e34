import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTopic, kafkaBrokers, uniqueName } from '../support/kafka.ts';
import { type CollectOptions, type Collector, collect } from '../support/source-collector.ts';
import { until } from '../support/until.ts';

const MEMBER = fileURLToPath(new URL('../support/group-member.ts', import.meta.url));
const SESSION_MS = 60_000;
/** It takes less than a second; the rest is for a machine that has other things to do. */
const SOON_MS = 20_000;
/** Longer than any other request may take. */
const LONG_JOIN_MS = 18_000;
/** Long enough for a join that waits for nobody. */
const WHILE_MS = 5000;

let topic: string;
let groupId: string;
let memberNotesDir: string;
const members: ChildProcess[] = [];
const running: Collector[] = [];

beforeEach(async () => {
  topic = await createTopic('members', 4);
  groupId = uniqueName('members');
  memberNotesDir = await mkdtemp(join(tmpdir(), 'millrace-members-'));
});

afterEach(async () => {
  for (const member of members.splice(0)) member.kill('SIGKILL');
  await Promise.all(running.splice(0).map((collector) => collector.stop()));
  await rm(memberNotesDir, { recursive: true, force: true });
});

/** A member in a process of its own, once it has joined and, when it keeps notes, has written one. */
async function startMember(sessionTimeoutMs = SESSION_MS): Promise<ChildProcess> {
  const options = {
    brokers: kafkaBrokers(),
    clientId: 'test',
    groupId,
    topics: [topic],
    sessionTimeoutMs,
    memberNotesDir,
  };
  const member = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), MEMBER, JSON.stringify(options)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  members.push(member);
  await once(member.stdout, 'data');
  await until(async () => (await readdir(memberNotesDir)).some((name) => name.endsWith('.json')));
  return member;
}

async function kill(member: ChildProcess): Promise<void> {
  const gone = once(member, 'exit');
  member.kill('SIGKILL');
  await gone;
}

async function start(options: Partial<CollectOptions> = {}): Promise<Collector> {
  const collector = await collect({ topics: [topic], groupId, sessionTimeoutMs: SESSION_MS, ...options });
  running.push(collector);
  return collector;
}

function partitionCount(collector: Collector): number {
  return collector.assignments.at(-1)?.partitions.length ?? 0;
}

function told(collector: Collector, event: string): number {
  return collector.telemetry.events.filter((entry) => entry.event === event).length;
}

describe('a Kafka group with a killed member', () => {
  it('gives its partitions soon to the next start on the host', async () => {
    await kill(await startMember());
    const next = await start({ memberNotesDir });
    await next.until(() => partitionCount(next) === 4, SOON_MS);
    await next.until(() => told(next, 'dead_members_left') === 1, SOON_MS);
    // Its own note alone is left, and goes when it stops.
    await until(async () => (await readdir(memberNotesDir)).length === 1);
    await next.stop();
    expect(await readdir(memberNotesDir)).toEqual([]);
    expect(told(next, 'member_note_failed')).toBe(0);
  });

  it('waits for its session without notes, in one join', async () => {
    await kill(await startMember(LONG_JOIN_MS));
    const next = await start();
    await delay(WHILE_MS);
    expect(partitionCount(next)).toBe(0);
    await next.until(() => partitionCount(next) === 4, LONG_JOIN_MS + SOON_MS);
    expect(told(next, 'kafka_connected')).toBe(1);
  });

  it('does not speak for a member that is only stopped', async () => {
    const member = await startMember();
    member.kill('SIGSTOP');
    const next = await start({ memberNotesDir });
    await delay(WHILE_MS);
    expect(partitionCount(next)).toBe(0);
    member.kill('SIGCONT');
    await next.until(() => partitionCount(next) === 2);
    expect(told(next, 'dead_members_left')).toBe(0);
  });

  it('goes on when nobody knows the member any more', async () => {
    await kill(await startMember());
    const [file] = await readdir(memberNotesDir);
    const path = join(memberNotesDir, file!);
    const text = await readFile(path, 'utf8');
    const formerGroup = groupId;
    groupId = uniqueName('members');
    await writeFile(path, text.replace(formerGroup, groupId));
    const next = await start({ memberNotesDir });
    await next.until(() => partitionCount(next) === 4, SOON_MS);
    await until(async () => !(await readdir(memberNotesDir)).includes(file!));
    expect(told(next, 'dead_members_left') + told(next, 'member_note_failed')).toBe(0);
  });

  it('starts where the notes cannot be kept', async () => {
    const inTheWay = join(memberNotesDir, 'file');
    await writeFile(inTheWay, '');
    const next = await start({ memberNotesDir: inTheWay });
    await next.until(() => partitionCount(next) === 4, SOON_MS);
    // Not read, and not written.
    await next.until(() => told(next, 'member_note_failed') === 2);
    expect(next.source.status()).toMatchObject({ state: 'running', isConnected: true });
  });
});
