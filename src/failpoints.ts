/**
 * Places where tests make the program fail on purpose, compiled in and armed by one setting (FAILPOINTS), which
 * production mode refuses. Unarmed, a place costs one comparison.
 *
 * `point:action[@n]` acts at the n-th time the point is reached (default 1), counted over all threads of the process;
 * `sabotage:name` switches a safeguard off for as long as the process lives. Several are joined by commas.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError, quoteValue } from './errors.ts';

export const FAILPOINTS = [
  /** The blocks are joined, nothing was sent. */
  'insert_before',
  /** ClickHouse acknowledged the rows, the pipeline does not know yet. */
  'insert_after',
  /** Rows are stored, the ledger row is not written. */
  'commit_before',
  /** The ledger row is written, Kafka's offsets are not committed. */
  'commit_between',
  /** A lane was claimed; what is present is being read. */
  'read_back',
  /** Rollups of touched minutes were deleted, not yet computed anew. */
  'recompute',
  /** A replay inserted missing rows, their rollups were not checked. */
  'replay_stored',
  /** The rows of a replacement are staged and it is decided, no partition was swapped. */
  'replay_decided',
  /** A replacement swapped a partition, perhaps not all; letters and rollups are as they were. */
  'replay_swapped',
  /** A parse worker has a task in hand. */
  'worker',
  /** A parse worker has a record in hand whose bytes contain POISON_MARK. */
  'poison',
  /** Records of dead letters were stored again, the letters are not marked as moved. */
  'redrive_between',
] as const;

/** Safeguards that can be left out, so that the oracle of the chaos suite can be seen to notice. */
export const SABOTAGES = [
  'commit_before_ack',
  'skip_read_back',
  'skip_guard',
  'skip_recomputation',
  'skip_ledger',
  'drop_letter_bytes',
] as const;

/** `kill`: SIGKILL to the process; `exit`: the thread ends; `oom`: its heap is filled; `stop`: SIGSTOP to the process. */
const ACTIONS = ['kill', 'exit', 'throw', 'oom', 'stop'] as const;

export type Failpoint = (typeof FAILPOINTS)[number];
export type Sabotage = (typeof SABOTAGES)[number];
type Action = (typeof ACTIONS)[number];

interface Armed {
  readonly point: Failpoint;
  readonly action: Action;
  readonly atHit: number;
}

/** Plain data, handed to worker threads as it is; the hits are shared between threads. */
export interface ArmedFailpoints {
  readonly armed: readonly Armed[];
  readonly sabotages: readonly Sabotage[];
  readonly hits: Int32Array;
}

/** What a record must contain to set off the failpoint `poison`, which acts at every such record from the n-th on. */
export const POISON_MARK = 'MILLRACE-POISON';

/** Time for a signal to arrive before the code after a failpoint would run on. */
const SIGNAL_MS = 1000;
const OOM_CHUNK = 1_000_000;

let current: ArmedFailpoints | undefined;

/** Arms the points of this thread from what another thread parsed. */
export function shareFailpoints(armed: ArmedFailpoints | undefined): void {
  current = armed;
}

/** What is armed here, for `shareFailpoints` in a worker thread; undefined when nothing is. */
export function armedFailpoints(): ArmedFailpoints | undefined {
  return current;
}

/** Throws `config_invalid` for a text that cannot be understood, and for any in production mode. True: some are armed. */
export function armFailpoints(
  text: string | undefined,
  { isProduction }: { isProduction: boolean },
): boolean {
  current = parseFailpoints(text, { isProduction });
  return current !== undefined;
}

/** What `armFailpoints` would arm; it throws the same. */
export function parseFailpoints(
  text: string | undefined,
  { isProduction }: { isProduction: boolean },
): ArmedFailpoints | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  if (isProduction) {
    throw new MillraceError('config_invalid', 'FAILPOINTS is for tests: not with NODE_ENV=production.');
  }
  const entries = text.split(',').map((entry) => entry.trim());
  const sabotages = entries.filter((entry) => entry.startsWith('sabotage:')).map(parseSabotage);
  const armed = entries.filter((entry) => !entry.startsWith('sabotage:')).map(parsePoint);
  return { armed, sabotages, hits: new Int32Array(new SharedArrayBuffer(4 * FAILPOINTS.length)) };
}

export function isSabotaged(name: Sabotage): boolean {
  return current !== undefined && current.sabotages.includes(name);
}

/** For code that may wait; `throw` rejects. */
export async function failpoint(point: Failpoint): Promise<void> {
  if (current === undefined) return;
  const action = dueAction(current, point);
  if (action === undefined) return;
  act(point, action);
  await delay(SIGNAL_MS);
}

/** For code that may not wait (parse workers). */
export function failpointSync(point: Failpoint): void {
  if (current === undefined) return;
  const action = dueAction(current, point);
  if (action !== undefined) act(point, action);
}

export function isFailpointArmed(point: Failpoint): boolean {
  return current !== undefined && current.armed.some((entry) => entry.point === point);
}

function dueAction({ armed, hits }: ArmedFailpoints, point: Failpoint): Action | undefined {
  const entries = armed.filter((entry) => entry.point === point);
  if (entries.length === 0) return undefined;
  const hit = Atomics.add(hits, FAILPOINTS.indexOf(point), 1) + 1;
  return entries.find(({ atHit }) => (point === 'poison' ? hit >= atHit : hit === atHit))?.action;
}

function act(point: Failpoint, action: Action): void {
  switch (action) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      return;
    case 'stop':
      process.kill(process.pid, 'SIGSTOP');
      return;
    case 'exit':
      return process.exit(1);
    case 'oom':
      return fillHeap();
    case 'throw':
      throw new MillraceError('internal', `Failpoint ${point} was reached.`);
    default:
      action satisfies never;
  }
}

function fillHeap(): void {
  const kept: unknown[] = [];
  for (;;) kept.push(Array.from({ length: OOM_CHUNK }, (_, i) => ({ i })));
}

function parseSabotage(entry: string): Sabotage {
  const name = entry.slice('sabotage:'.length) as Sabotage;
  if (SABOTAGES.includes(name)) return name;
  throw invalid(entry, `a sabotage is one of ${SABOTAGES.join(', ')}`);
}

function parsePoint(entry: string): Armed {
  const [, point, action, hit = '1'] = /^([a-z_]+):([a-z]+)(?:@([1-9][0-9]{0,8}))?$/.exec(entry) ?? [];
  if (!FAILPOINTS.includes(point as Failpoint) || !ACTIONS.includes(action as Action)) {
    throw invalid(
      entry,
      `expected point:action[@n] with a point of ${FAILPOINTS.join(', ')} and an action of ${ACTIONS.join(', ')}`,
    );
  }
  return { point: point as Failpoint, action: action as Action, atHit: Number(hit) };
}

function invalid(entry: string, expected: string): MillraceError {
  return new MillraceError('config_invalid', `FAILPOINTS has ${quoteValue(entry)}: ${expected}.`);
}
