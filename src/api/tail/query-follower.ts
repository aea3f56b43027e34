/**
 * Follows what anybody stores: asks ClickHouse once a second, for all tails in one query.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, toMillraceError } from '../../errors.ts';
import { Turns } from '../turns.ts';
import type { Follower, FollowerPorts } from './follower.ts';
import { LogSharer } from './log-sharer.ts';
import { refuseCostliest } from './refuse-costliest.ts';
import { comparePositions, markAt, startOf, type TailMark } from './tail-mark.ts';

export interface QueryFollowerOptions {
  readonly pollMs: number;
  /** Logs that one query of all tails reads. */
  readonly maxRows: number;
  /** When so much has come that reading lags this far behind, what is left is counted and passed over. */
  readonly maxLagS: number;
}

const QUERY_MS = 10_000;
/** What ClickHouse may take to choose for all tails together. */
const SHARED_S = 5;
/** Many tails are counted by several queries. */
const COUNT_MS = 60_000;
/** Queries for all tails that ClickHouse refuses in a row, before it is their filters that are to blame. */
const MAX_FAILURES = 2;
/** Only one thing is done at a time. */
const SHARING = 'sharing';

export class QueryFollower implements Follower {
  readonly #ports: FollowerPorts;
  readonly #options: QueryFollowerOptions;
  readonly #stopping = new AbortController();
  readonly #turns = new Turns();
  readonly #sharer = new LogSharer();
  #failureCount = 0;
  #mark = markAt(startOf(0));
  /** Up to where the look that is under way reads. */
  #upTo: TailMark | undefined;

  constructor(ports: FollowerPorts, options: QueryFollowerOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  get mark(): TailMark {
    return this.#mark;
  }

  async start(): Promise<void> {
    this.#mark = markAt(startOf(await this.#ports.reader.readySecond(this.#signal())));
    void this.#follow();
  }

  async between<T>(step: () => T): Promise<T> {
    return await this.#turns.run(SHARING, async () => step());
  }

  stop(): void {
    this.#stopping.abort();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await sleep(this.#options.pollMs, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) await this.#turns.run(SHARING, () => this.#poll());
    }
  }

  /** Never rejects: what could not be read is read the next time. */
  async #poll(): Promise<void> {
    try {
      await this.#advance();
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#ports.telemetry.emit('tail_unreadable', { error: errorMessage(error) });
      const upTo = this.#upTo;
      if (toMillraceError(error).isRetryable || upTo === undefined) return;
      this.#failureCount++;
      if (this.#failureCount >= MAX_FAILURES) this.#giveUp(upTo);
    }
  }

  /** The costliest tails end; the others read on alone, from what they have, and come back. */
  #giveUp(upTo: TailMark): void {
    this.#failureCount = 0;
    const groups = this.#ports.groups();
    refuseCostliest(groups, ({ patternSteps }) => patternSteps);
    for (const group of groups) {
      for (const member of group.members) member.end(this.#mark);
    }
    this.#mark = upTo;
  }

  async #advance(): Promise<void> {
    const { reader } = this.#ports;
    this.#upTo = undefined;
    const readyS = await reader.readySecond(this.#signal());
    const upTo = markAt(startOf(readyS));
    if (comparePositions(upTo.position, this.#mark.position) <= 0) return;
    this.#upTo = upTo;
    const groups = this.#ports.groups();
    const { maxRows, maxLagS } = this.#options;
    const options = { groups, maxRows, signal: this.#signal(), markOf: markAt, maxSeconds: SHARED_S };
    const { logs, hasMore } = await reader.read({ after: this.#mark, upTo }, options);
    const last = logs.at(-1);
    const isLate = hasMore && last !== undefined && readyS - last.position.storedS > maxLagS;
    const gaps = isLate ? await reader.count({ after: last.mark, upTo }, groups, this.#signal(COUNT_MS)) : [];
    // From here on nothing may fail: what was shared out must not be read again.
    if (!(await this.#sharer.shareOut(logs, groups, this.#stopping.signal))) return;
    for (const [i, group] of groups.entries()) group.skip(gaps[i], upTo);
    this.#failureCount = 0;
    this.#mark = hasMore && !isLate && last !== undefined ? last.mark : upTo;
  }

  #signal(ms = QUERY_MS): AbortSignal {
    return AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(ms)]);
  }
}
