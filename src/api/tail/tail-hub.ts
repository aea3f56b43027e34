/**
 * Has logs followed while anybody looks, and knows who looks: from the pipeline as long as this program alone stores
 * logs, from ClickHouse when others do so too.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage } from '../../errors.ts';
import type { QueryPort } from '../../pipeline/query-port.ts';
import type { StatusPort } from '../../pipeline/status-port.ts';
import type { StoredPort } from '../../pipeline/stored-port.ts';
import type { Telemetry } from '../../telemetry.ts';
import { SourceNames } from '../logs/sources.ts';
import { FeedFollower } from './feed-follower.ts';
import type { Follower } from './follower.ts';
import { QueryFollower, type QueryFollowerOptions } from './query-follower.ts';
import { QueueBudget } from './queue-budget.ts';
import { RefusedTails } from './refused-tails.ts';
import { selectionKey, TailGroup, type TailSelection, tooCostly } from './tail-group.ts';
import { isWithin, laneNumber, type TailMark } from './tail-mark.ts';
import { TailMember } from './tail-member.ts';
import type { QueueLimits } from './tail-queue.ts';
import { TailReader } from './tail-reader.ts';

export interface TailHubPorts {
  readonly store: QueryPort;
  readonly status: StatusPort;
  /** Absent: ClickHouse is asked for everything. */
  readonly stored?: StoredPort | undefined;
  readonly cursorSecret: Buffer;
  readonly telemetry: Telemetry;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export interface TailHubOptions extends QueueLimits, QueryFollowerOptions {
  /** Between looks for others that store logs. */
  readonly watchMs: number;
  /** What waits for all clients together. */
  readonly maxQueuedBytes: number;
}

export interface TailMembership {
  readonly member: TailMember;
  /** What was shared out until now; what is pushed later lies beyond it. */
  readonly mark: TailMark;
  /** The same, as it is now. */
  readonly markNow: () => TailMark;
  /** Safe to call twice. */
  readonly release: () => void;
}

interface Following {
  readonly follower: Follower;
  readonly isAlone: boolean;
  readonly groups: Map<string, TailGroup>;
  /** Set when everybody was sent on to the next one. */
  isOver: boolean;
}

/** Of the ledger: what is in it to begin following the pipeline, and to give that up. Both pass what marks stay behind. */
const QUIET_SECONDS = 90;
const NOISE_SECONDS = 20;
const QUERY_MS = 10_000;

/** Modes: `idle` (nobody is there, nothing is asked) ⇄ following, by `enter` and `leave`. */
export class TailHub {
  readonly #ports: TailHubPorts;
  readonly #options: TailHubOptions;
  readonly reader: TailReader;
  readonly #refused: RefusedTails;
  readonly #budget: QueueBudget;
  #userCount = 0;
  /** From the first client to the last. */
  #life: AbortController | undefined;
  #following: Promise<Following> | undefined;

  constructor(ports: TailHubPorts, options: TailHubOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#budget = new QueueBudget(options.maxQueuedBytes);
    this.#refused = new RefusedTails(ports.now);
    this.reader = new TailReader(ports.store, new SourceNames(ports.store, ports.now));
  }

  /** Throws `query_too_costly` for a while after tails of this kind had to be ended. */
  checkIsTaken(selection: TailSelection): void {
    if (this.#refused.has(selectionKey(selection))) throw tooCostly();
  }

  /** Resolves when the hub follows; `leave` then belongs to it. Rejects when nobody can be asked. */
  async enter(): Promise<void> {
    this.#userCount++;
    if (this.#life === undefined) {
      this.#life = new AbortController();
      if (this.#ports.stored !== undefined) void this.#watchOthers(this.#life.signal);
    }
    try {
      await this.#current();
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  leave(): void {
    this.#userCount--;
    if (this.#userCount > 0) return;
    this.#life?.abort();
    this.#life = undefined;
    this.#following = undefined;
  }

  /** What was shared out. */
  async mark(): Promise<TailMark> {
    return (await this.#current()).follower.mark;
  }

  /** What the selection has beyond the returned mark is pushed to the member, but for what is in `after`. */
  async join(selection: TailSelection, after: TailMark | undefined): Promise<TailMembership> {
    while (true) {
      const following = await this.#current();
      const membership = await following.follower.between(() => this.#admit(following, selection, after));
      // Another one follows by now.
      if (membership !== undefined) return membership;
    }
  }

  #admit(
    { follower, groups, isOver }: Following,
    selection: TailSelection,
    after: TailMark | undefined,
  ): TailMembership | undefined {
    if (isOver) return undefined;
    const { mark } = follower;
    const key = selectionKey(selection);
    const group =
      groups.get(key) ?? new TailGroup(selection, this.#ports.cursorSecret, (key) => this.#refused.add(key));
    groups.set(key, group);
    const ahead = after === undefined || isWithin(after, mark) ? undefined : after;
    const cursor = (of: TailMark): string => group.cursor(of);
    const member = new TailMember({ ...this.#options, budget: this.#budget, ahead, cursor });
    group.members.add(member);
    const release = (): void => {
      group.members.delete(member);
      member.close();
      if (group.members.size === 0 && groups.get(key) === group) groups.delete(key);
    };
    return { member, mark, markNow: () => follower.mark, release };
  }

  #current(): Promise<Following> {
    if (this.#following !== undefined) return this.#following;
    const signal = this.#life?.signal ?? AbortSignal.abort();
    const following = this.#begin(signal);
    this.#following = following;
    following.catch(() => {
      if (this.#following === following) this.#following = undefined;
    });
    return following;
  }

  async #begin(signal: AbortSignal): Promise<Following> {
    signal.throwIfAborted();
    const { stored, telemetry } = this.#ports;
    const isAlone = stored !== undefined && !(await this.#areOthers(QUIET_SECONDS));
    signal.throwIfAborted();
    const groups = new Map<string, TailGroup>();
    const ports = { reader: this.reader, telemetry, groups: () => [...groups.values()] };
    const follower = isAlone
      ? new FeedFollower(stored, ports, this.#options)
      : new QueryFollower(ports, this.#options);
    signal.addEventListener('abort', () => follower.stop());
    try {
      await follower.start();
    } catch (error) {
      follower.stop();
      throw error;
    }
    return { follower, isAlone, groups, isOver: false };
  }

  /** Begins anew, in the other way, when others come or have been gone for a while. */
  async #watchOthers(signal: AbortSignal): Promise<void> {
    let lookedMs = performance.now();
    while (!signal.aborted) {
      await sleep(this.#options.watchMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        const following = await this.#current();
        const beganMs = performance.now();
        // What was written between two looks must be in one of them.
        const noiseSeconds = NOISE_SECONDS + Math.ceil((beganMs - lookedMs) / 1000);
        const areOthers = await this.#areOthers(following.isAlone ? noiseSeconds : QUIET_SECONDS);
        lookedMs = beganMs;
        if (areOthers === following.isAlone) await this.#change(following, signal);
      } catch (error) {
        if (!signal.aborted) this.#ports.telemetry.emit('tail_unreadable', { error: errorMessage(error) });
      }
    }
  }

  /** Everybody goes on where the old follower ends, by what they have. */
  async #change(following: Following, signal: AbortSignal): Promise<void> {
    const { follower, groups } = following;
    await follower.between(() => {
      if (signal.aborted) return;
      following.isOver = true;
      follower.stop();
      this.#following = undefined;
      for (const group of groups.values()) for (const member of group.members) member.end(follower.mark);
    });
    if (!signal.aborted) await this.#current();
  }

  async #areOthers(seconds: number): Promise<boolean> {
    const lanes = await this.#ports.status.snapshot('lanes');
    return await this.reader.areOthers(lanes.map(laneNumber), seconds, AbortSignal.timeout(QUERY_MS));
  }
}
