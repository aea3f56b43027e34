/**
 * Where a hub has its logs from: the pipeline of this program, or ClickHouse.
 */
import type { Telemetry } from '../../telemetry.ts';
import type { TailGroup } from './tail-group.ts';
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
