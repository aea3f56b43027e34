import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemberNotes } from '../../src/bus/member-notes.ts';
import { type RecordedTelemetry, recordTelemetry } from '../support/kafka.ts';
import { until } from '../support/until.ts';

const GROUP = 'group';
const DAY_MS = 24 * 60 * 60 * 1000;

type Note = Record<string, string | number>;

let root: string;
let directory: string;
let telemetry: RecordedTelemetry;
let notes: MemberNotes;
const children: ChildProcess[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-notes-'));
  directory = join(root, 'kafka-members');
  telemetry = recordTelemetry();
  notes = new MemberNotes(directory, telemetry);
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(root, { recursive: true, force: true });
});

/** The note that this process writes of itself. */
async function ownNote(): Promise<Note> {
  const writer = new MemberNotes(directory, telemetry);
  await writer.keep({ groupId: GROUP, memberId: 'member' });
  const [file] = await readdir(directory);
  const note = JSON.parse(await readFile(join(directory, file!), 'utf8')) as Note;
  await writer.drop();
  return note;
}

/** A note like this process's own, but for `changes`, under the name `note.json`. */
async function leaveNote(changes: Note): Promise<void> {
  const note = await ownNote();
  await writeFile(join(directory, 'note.json'), JSON.stringify({ ...note, ...changes }));
}

async function startOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
}

async function stateOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
}

async function startProcess(): Promise<{ child: ChildProcess; pid: number; processStart: string }> {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  children.push(child);
  await once(child, 'spawn');
  return { child, pid: child.pid!, processStart: await startOf(child.pid!) };
}

const found = { groupId: GROUP, memberId: 'member', file: 'note.json' };

describe('notes of Kafka members', () => {
  it('keeps one note per source, readable by its owner only, and replaces it', async () => {
    await notes.keep({ groupId: GROUP, memberId: 'first' });
    await notes.keep({ groupId: GROUP, memberId: 'second' });
    const files = await readdir(directory);
    expect(files).toHaveLength(1);
    const text = await readFile(join(directory, files[0]!), 'utf8');
    expect(JSON.parse(text)).toMatchObject({ groupId: GROUP, memberId: 'second', pid: process.pid });
    await notes.drop();
    expect(await readdir(directory)).toEqual([]);
  });

  it('finds the member of a killed process, and not while that lives or is stopped', async () => {
    const { child, pid, processStart } = await startProcess();
    await leaveNote({ pid, processStart });
    expect(await notes.findDead(GROUP)).toEqual([]);
    child.kill('SIGSTOP');
    await until(async () => (await stateOf(pid)) === 'T');
    expect(await notes.findDead(GROUP)).toEqual([]);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await notes.findDead(GROUP)).toEqual([found]);
    await notes.forget('note.json');
    expect(await notes.findDead(GROUP)).toEqual([]);
    expect(telemetry.events).toEqual([]);
  });

  it('takes a zombie for alive', async () => {
    const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.push(parent);
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString());
    await until(async () => (await stateOf(pid)) === 'Z');
    await leaveNote({ pid, processStart: await startOf(pid) });
    expect(await notes.findDead(GROUP)).toEqual([]);
  });

  it('knows that another process has the pid now', async () => {
    await leaveNote({ processStart: '1' });
    expect(await notes.findDead(GROUP)).toEqual([found]);
  });

  it.each([
    ['host', { host: 'another' }],
    ['container', { pidNamespace: 'pid:[1]' }],
    ['group', { groupId: 'another' }],
  ])('leaves the note of another %s alone, for a day', async (_, changes: Note) => {
    await leaveNote({ processStart: '1', ...changes });
    expect(await notes.findDead(GROUP)).toEqual([]);
    expect(await readdir(directory)).toEqual(['note.json']);
    const before = new Date(Date.now() - 2 * DAY_MS);
    await utimes(join(directory, 'note.json'), before, before);
    expect(await notes.findDead(GROUP)).toEqual([]);
    expect(await readdir(directory)).toEqual([]);
  });

  it('removes notes from before the last start of the system', async () => {
    await leaveNote({ processStart: '1', bootId: 'another' });
    expect(await notes.findDead(GROUP)).toEqual([]);
    expect(await readdir(directory)).toEqual([]);
  });

  it.each([
    '',
    'null',
    '{"groupId": "group"',
    '{"groupId": "group", "memberId": "member"}',
    `{"pad": "${'x'.repeat(5000)}"}`,
  ])('passes over what is no note: %.40s', async (text) => {
    await leaveNote({ processStart: '1' });
    await writeFile(join(directory, 'broken.json'), text);
    await mkdir(join(directory, 'directory.json'));
    expect(await notes.findDead(GROUP)).toEqual([found]);
    expect(telemetry.events).toEqual([]);
  });

  it.each([{ pid: 0 }, { pid: -1 }, { pid: 1.5 }, { pid: '1' }, { processStart: '' }])(
    'passes over a note with %o',
    async (changes: Note) => {
      await leaveNote({ processStart: '1', ...changes });
      expect(await notes.findDead(GROUP)).toEqual([]);
    },
  );

  it('reads no more than a hundred', async () => {
    const note = JSON.stringify({ ...(await ownNote()), processStart: '1' });
    await Promise.all(Array.from({ length: 120 }, (_, i) => writeFile(join(directory, `${i}.json`), note)));
    expect(await notes.findDead(GROUP)).toHaveLength(100);
  });

  it('tells, and goes on, where notes can be neither written nor read', async () => {
    await writeFile(directory, 'a file in the place of the directory');
    await notes.keep({ groupId: GROUP, memberId: 'member' });
    expect(await notes.findDead(GROUP)).toEqual([]);
    expect(telemetry.events.map(({ event }) => event)).toEqual(['member_note_failed', 'member_note_failed']);
  });
});
