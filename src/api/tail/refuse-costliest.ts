/**
 * Ends the tails that cost the most, so that the others go on.
 */
import type { TailGroup } from './tail-group.ts';

/** Those that cost half of all together, and none that costs nothing. */
export function refuseCostliest(groups: readonly TailGroup[], costOf: (group: TailGroup) => number): void {
  const costly = groups.filter((group) => costOf(group) > 0).toSorted((a, b) => costOf(b) - costOf(a));
  let left = costly.reduce((sum, group) => sum + costOf(group), 0) / 2;
  for (const group of costly) {
    if (left <= 0) return;
    left -= costOf(group);
    group.refuse();
  }
}
