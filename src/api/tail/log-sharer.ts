/**
 * Hands logs to all tails, in turns with everything else that the thread does: neither many logs nor filters that take
 * long keep it for more than a few milliseconds.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { refuseCostliest } from './refuse-costliest.ts';
import type { PlacedLog, TailGroup } from './tail-group.ts';

const SHARED_AT_ONCE = 50;
/** Filters without expressions that are asked before the clock is. */
const TESTS_AT_ONCE = 32;
const SLICE_MS = 5;
const WATCH_MS = 1000;
/** What expressions of all tails may cost in a second, in steps: about a quarter of it. */
const MAX_STEPS_PER_SECOND = 3_000_000;

export class LogSharer {
  #sliceBeganMs = 0;
  #watchBeganMs = 0;
  readonly #spentSteps = new Map<TailGroup, number>();

  /** False: stopped in between. */
  async shareOut(
    logs: Iterable<PlacedLog>,
    groups: readonly TailGroup[],
    signal: AbortSignal,
  ): Promise<boolean> {
    let count = 0;
    let testCount = 0;
    for (const log of logs) {
      // Clients are given the time to take what there is.
      if (count++ % SHARED_AT_ONCE === 0) await this.#rest(groups);
      if (signal.aborted) return false;
      for (const group of groups) {
        group.share(log);
        const isTimely = group.patternSteps === 0 && ++testCount % TESTS_AT_ONCE !== 0;
        if (!isTimely && performance.now() - this.#sliceBeganMs >= SLICE_MS) await this.#rest(groups);
        if (signal.aborted) return false;
      }
    }
    return true;
  }

  async #rest(groups: readonly TailGroup[]): Promise<void> {
    this.#watch(groups);
    await nextTurn();
    this.#sliceBeganMs = performance.now();
  }

  #watch(groups: readonly TailGroup[]): void {
    const nowMs = performance.now();
    if (nowMs - this.#watchBeganMs >= WATCH_MS) {
      this.#watchBeganMs = nowMs;
      this.#spentSteps.clear();
    }
    let sum = 0;
    for (const group of groups) {
      if (group.patternSteps === 0) continue;
      const spentSteps = (this.#spentSteps.get(group) ?? 0) + group.readSpentSteps();
      this.#spentSteps.set(group, spentSteps);
      sum += spentSteps;
    }
    if (sum <= MAX_STEPS_PER_SECOND) return;
    refuseCostliest(groups, (group) => this.#spentSteps.get(group) ?? 0);
    this.#spentSteps.clear();
  }
}
