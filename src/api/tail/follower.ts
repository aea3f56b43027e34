/**
 * Where a hub has its logs from: the pipeline of this program, or ClickHouse.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Telemetry } from '../../telemetry.ts';
import type { PlacedLog, TailGroup } from './tail-group.ts';
import type { TailMark } from './tail-mark.ts';
import type { TailReader } from './tail-reader.ts';

export interface Follower {
  /** What was shared out completely. */
  readonly mark: TailMark;
  /** Resolves when it is known where it begins. */
  start(): Promise<void>;
  /** Runs `step` while nothing is being shared out, and nothing is shared out while it runs. */
  between<T>(step: () => T): Promise<T>;
  stop(): void;
}

export interface FollowerPorts {
  readonly reader: TailReader;
  readonly telemetry: Telemetry;
  /** Those that are there now. */
  readonly groups: () => readonly TailGroup[];
}

const SHARED_AT_ONCE = 50;

/** False: stopped in between. */
export async function shareOut(
  logs: Iterable<PlacedLog>,
  groups: readonly TailGroup[],
  signal: AbortSignal,
): Promise<boolean> {
  let count = 0;
  for (const log of logs) {
    // Clients are given the time to take what there is.
    if (count++ % SHARED_AT_ONCE === 0) await nextTurn();
    if (signal.aborted) return false;
    for (const group of groups) group.share(log);
  }
  return true;
}
