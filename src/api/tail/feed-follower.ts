/**
 * Follows what this program stores, as the pipeline tells it. ClickHouse is asked for what was told without its rows
 * only: what was stored before the pipeline learnt of it, and what came faster than it could be taken.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, MillraceError, toMillraceError } from '../../errors.ts';
import type { LaneEnd, StoredNews, StoredPort, StoredStretch } from '../../pipeline/stored-port.ts';
import { positionOf } from '../logs/log-shape.ts';
import { Turns } from '../turns.ts';
import { readBlock } from './block-rows.ts';
import type { Follower, FollowerPorts } from './follower.ts';
import { LogSharer } from './log-sharer.ts';
import type { PlacedLog } from './tail-group.ts';
import { laneNumber, markAt, startOf, type TailMark } from './tail-mark.ts';
import type { LaneRange } from './tail-sql.ts';

export interface FeedFollowerOptions {
  /** Rows that are read at once where rows are read; more are counted and passed over. */
  readonly maxRows: number;
}

interface ToldLane {
  readonly offset: number;
  readonly toldMs: number;
}

/**
 * How far a mark stays behind in the order of storing. It must pass the difference between the clocks of this machine
 * and of ClickHouse, and the time until it shows that others store logs too. All lanes of that time are in the mark.
 */
const SETTLE_MS = 60_000;
const SLACK_MS = 5000;
const START_MS = 5000;
const QUERY_MS = 10_000;
/** Only one thing is done at a time. */
const SHARING = 'sharing';
const RETRY_MS = 1000;

export class FeedFollower implements Follower {
  readonly #feed: StoredPort;
  readonly #ports: FollowerPorts;
  readonly #options: FeedFollowerOptions;
  readonly #stopping = new AbortController();
  readonly #turns = new Turns();
  readonly #sharer = new LogSharer();
  /** Of a lane in order; neighbours without blocks are joined, so that they are bounded by those with. */
  #pending: StoredStretch[] = [];
  #toldToMs = 0;
  /** When the last news was told. */
  #heardMs = 0;
  #isTaking = false;
  #settledS = 0;
  readonly #lanes = new Map<number, ToldLane>();
  #mark = markAt(startOf(0));
  #unfollow: (() => void) | undefined;

  constructor(feed: StoredPort, ports: FollowerPorts, options: FeedFollowerOptions) {
    this.#feed = feed;
    this.#ports = ports;
    this.#options = options;
  }

  get mark(): TailMark {
    return this.#mark;
  }

  async start(): Promise<void> {
    const { promise, resolve, reject } = withResolvers<StoredNews>();
    const timer = setTimeout(
      () => reject(new MillraceError('deadline_exceeded', 'The main thread does not answer.')),
      START_MS,
    );
    let isFirst = true;
    this.#unfollow = this.#feed.follow((news) => {
      if (isFirst) resolve(news);
      isFirst = false;
      this.#received(news);
    });
    const { lanes } = await promise.finally(() => clearTimeout(timer));
    for (const lane of lanes) this.#setLane(lane, lane.storedOffset);
    this.#settle();
  }

  async between<T>(step: () => T): Promise<T> {
    return await this.#turns.run(SHARING, async () => step());
  }

  stop(): void {
    this.#stopping.abort();
    this.#unfollow?.();
  }

  #received({ stretches, atMs, toldToMs }: StoredNews): void {
    for (const stretch of stretches) this.#add(stretch);
    this.#heardMs = atMs;
    this.#toldToMs = toldToMs;
    if (!this.#isTaking) void this.#takeAll();
  }

  #add(stretch: StoredStretch): void {
    const index = this.#pending.findLastIndex((other) => laneNumber(other) === laneNumber(stretch));
    const last = this.#pending[index];
    const isNext = last?.toOffset === stretch.fromOffset && last.blocks === undefined;
    if (isNext && stretch.blocks === undefined) {
      this.#pending[index] = { ...last, toOffset: stretch.toOffset };
    } else {
      this.#pending.push(stretch);
    }
  }

  async #takeAll(): Promise<void> {
    this.#isTaking = true;
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
      const stretch = next;
      await this.#turns.run(SHARING, () => this.#take(stretch));
      if (this.#stopping.signal.aborted) return;
    }
    this.#isTaking = false;
    await this.#turns.run(SHARING, async () => this.#settle());
  }

  async #take(stretch: StoredStretch): Promise<void> {
    const { fromOffset, toOffset, blocks } = stretch;
    const known = this.#lanes.get(laneNumber(stretch))?.offset ?? 0;
    // Of a lane that was somebody else's, or that is new, what was stored lately is not known yet.
    if (fromOffset > known) await this.#read({ ...stretch, fromOffset: known, toOffset: fromOffset });
    if (blocks === undefined) await this.#read({ ...stretch, fromOffset: Math.max(fromOffset, known) });
    else await this.#share(blocks, stretch, known);
    if (this.#stopping.signal.aborted) return;
    this.#setLane(stretch, Math.max(known, toOffset));
    this.#mark = this.#markNow();
  }

  async #share(blocks: readonly ArrayBuffer[], lane: StoredStretch, known: number): Promise<void> {
    const { reader, groups } = this.#ports;
    const names = await reader.sources.resolve([lane.source]).catch(() => undefined);
    const source = names?.get(lane.source);
    const logs = function* (follower: FeedFollower): Generator<PlacedLog> {
      for (const row of blocks.flatMap((block) => readBlock(block))) {
        if (row.offset < known) continue;
        const position = { ...positionOf(row), storedS: Number.POSITIVE_INFINITY };
        yield follower.#placed({ row, source, position });
      }
    };
    if (await this.#sharer.shareOut(logs(this), groups(), this.#stopping.signal))
      this.#feed.taken(blocks.reduce((sum, { byteLength }) => sum + byteLength, 0));
  }

  /** Until it was read: without it nothing behind it may be shared out. */
  async #read(lane: Omit<LaneRange, 'sinceS'>): Promise<void> {
    if (lane.fromOffset >= lane.toOffset) return;
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#readOnce({ ...lane, sinceS: this.#settledS });
        return;
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        this.#ports.telemetry.emit('tail_unreadable', { error: errorMessage(error) });
        if (!toMillraceError(error).isRetryable) return this.#giveUp();
        await sleep(RETRY_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      }
    }
  }

  /** Everybody reads on alone, from what they have. */
  #giveUp(): void {
    for (const group of this.#ports.groups()) {
      for (const member of group.members) member.end(this.#mark);
    }
  }

  async #readOnce(range: LaneRange): Promise<void> {
    const { reader } = this.#ports;
    const groups = this.#ports.groups();
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(QUERY_MS)]);
    const markOf = ({ offset }: { readonly offset: number }): TailMark => this.#markWith(range, offset + 1);
    const { maxRows } = this.#options;
    const { logs, hasMore } = await reader.read(range, { groups, maxRows, markOf, signal });
    const fromOffset = (logs.at(-1)?.position.offset ?? range.fromOffset) + 1;
    const gaps = hasMore ? await reader.count({ ...range, fromOffset }, groups, signal) : [];
    if (!(await this.#sharer.shareOut(logs, groups, this.#stopping.signal))) return;
    const mark = this.#markWith(range, range.toOffset);
    for (const [i, group] of groups.entries()) group.skip(gaps[i], mark);
  }

  /** The mark is made when somebody wants it: few logs are wanted. */
  #placed(log: Omit<PlacedLog, 'mark'>): PlacedLog {
    const markOf = (): TailMark => this.#markWith(log.position, log.position.offset + 1);
    let mark: TailMark | undefined;
    return {
      ...log,
      get mark() {
        return (mark ??= markOf());
      },
    };
  }

  /** All that was told has been shared out: what was stored long enough before is in the mark by its time alone. */
  #settle(): void {
    if (this.#pending.length > 0) return;
    this.#settledS = Math.max(this.#settledS, Math.floor((this.#toldToMs - SETTLE_MS) / 1000));
    this.#mark = this.#markNow();
  }

  #setLane(lane: Pick<LaneEnd, 'source' | 'partition'>, offset: number): void {
    this.#lanes.set(laneNumber(lane), { offset, toldMs: this.#heardMs });
  }

  #markNow(): TailMark {
    const sinceMs = this.#settledS * 1000 - SLACK_MS;
    const recent = [...this.#lanes].filter(([, { toldMs }]) => toldMs >= sinceMs);
    return markAt(startOf(this.#settledS), new Map(recent.map(([lane, { offset }]) => [lane, offset])));
  }

  #markWith(lane: Pick<LaneEnd, 'source' | 'partition'>, offset: number): TailMark {
    return markAt(this.#mark.position, new Map(this.#mark.lanes).set(laneNumber(lane), offset));
  }
}

function withResolvers<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((settle, fail) => {
    resolve = settle;
    reject = fail;
  });
  return { promise, resolve, reject };
}
