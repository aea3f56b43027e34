/**
 * Keeps merges off a disk that fills up. The embedded library takes no notice of a write(2) that fails: a merge that
 * finds no room ends as if all were well, with files that are empty, and takes the place of the parts it was made from.
 * So merges stop before the room is gone, which also breaks off those under way, and what was written in the last
 * moments before is read over (`part-check.ts`). To stop merges is to stop retention as well, which could give room:
 * what has expired is dropped meanwhile.
 */
import { statfs } from 'node:fs/promises';
import { errorMessage } from '../../errors.ts';
import type { Telemetry } from '../../telemetry.ts';
import type { Store } from '../clickhouse-client.ts';
import type { PartCheck } from './part-check.ts';
import { KEEP_FREE_BYTES } from './server-config.ts';

export interface MergeGuardOptions {
  /** On the disk that is watched. */
  readonly dataDir: string;
  readonly store: Store;
  /** Of the server process: another one has forgotten what it was told. */
  readonly pid: () => number;
  readonly parts: PartCheck;
  readonly telemetry: Telemetry;
  /** Default: what the system says of the disk. */
  readonly room?: () => Promise<Room>;
}

export interface Room {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

const MIB = 1024 * 1024;
const LOOK_INTERVAL_MS = 1000;
/** Room that must come back, beyond the limit: no flapping at the edge. */
const RECOVERY_FACTOR = 1.05;
/** What a disk may fill by between two looks; a small disk has less to give. */
const MARGIN_BYTES = 512 * MIB;
const MARGIN_SHARE = 1 / 8;
const DROP_INTERVAL_MS = 60_000;
const STATEMENT_MS = 5000;

/** Free bytes below which nothing is merged on a disk of this size. */
export function mergeFloorBytes(totalBytes: number): number {
  return Math.max(KEEP_FREE_BYTES, Math.min(MARGIN_BYTES, totalBytes * MARGIN_SHARE));
}

/** Modes: `merging` and `stopped`; stopped below the limit, until there is room again. One look at a time. */
export class MergeGuard {
  readonly #options: MergeGuardOptions;
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #isStopped = false;
  #metPid = 0;
  /** The process that was told to stop merging. */
  #toldPid = 0;
  #droppedAt = Number.NEGATIVE_INFINITY;

  constructor(options: MergeGuardOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** What the timer does; never rejects. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { parts, telemetry } = this.#options;
    try {
      const { freeBytes, totalBytes } = await (this.#options.room?.() ?? this.#room());
      const floorBytes = mergeFloorBytes(totalBytes);
      const limitBytes = this.#isStopped ? floorBytes * RECOVERY_FACTOR : floorBytes;
      if (freeBytes < limitBytes) await this.#hold(freeBytes, floorBytes);
      else if (this.#isStopped) await this.#release(freeBytes);
      await this.#meet();
      await parts.work(freeBytes);
    } catch (error) {
      telemetry.emit('merge_guard_failed', { error: errorMessage(error) });
    } finally {
      this.#isLooking = false;
    }
  }

  /** A server process that is new has loaded its tables. */
  async #meet(): Promise<void> {
    const pid = this.#options.pid();
    if (pid === 0 || pid === this.#metPid) return;
    await this.#options.parts.tellPutAside();
    this.#metPid = pid;
  }

  async #room(): Promise<Room> {
    const { bavail, blocks, bsize } = await statfs(this.#options.dataDir);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  }

  async #hold(freeBytes: number, floorBytes: number): Promise<void> {
    const { pid, parts, telemetry } = this.#options;
    const now = pid();
    if (this.#toldPid !== now) {
      await this.#command('SYSTEM STOP MERGES');
      this.#toldPid = now;
      parts.oweLatest();
    }
    if (!this.#isStopped) telemetry.emit('merges_stopped', { freeBytes, floorBytes });
    this.#isStopped = true;
    if (Date.now() - this.#droppedAt >= DROP_INTERVAL_MS) await this.#dropExpired();
  }

  async #release(freeBytes: number): Promise<void> {
    await this.#command('SYSTEM START MERGES');
    this.#toldPid = 0;
    this.#isStopped = false;
    this.#options.telemetry.emit('merges_resumed', { freeBytes });
  }

  /** Parts all of whose rows are past their time to live. */
  async #dropExpired(): Promise<void> {
    this.#droppedAt = Date.now();
    const expired = await this.#options.store.query<{ table: string; name: string }>(
      `SELECT table, name FROM system.parts WHERE database = currentDatabase() AND active
         AND delete_ttl_info_max > toDateTime(0) AND delete_ttl_info_max < now()`,
      {},
      { signal: AbortSignal.timeout(STATEMENT_MS) },
    );
    for (const { table, name } of expired) await this.#command(`ALTER TABLE ${table} DROP PART '${name}'`);
  }

  async #command(sql: string): Promise<void> {
    await this.#options.store.command(sql, {}, { signal: AbortSignal.timeout(STATEMENT_MS) });
  }
}
