/** Waiting for a condition, with a bound and a sentence when it is not met. */
import { setTimeout as delay } from 'node:timers/promises';

export interface UntilOptions {
  /** Default 60 s. */
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
  /** What was seen instead, for the error. */
  readonly seen?: () => unknown;
}

/** Resolves when `condition` holds; rejects when it still does not after the timeout. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  { timeoutMs = 60_000, intervalMs = 25, seen }: UntilOptions = {},
): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > endMs) {
      const instead = seen === undefined ? '' : `; instead: ${JSON.stringify(seen())}`;
      throw new Error(`Not within ${timeoutMs} ms: ${condition.toString()}${instead}`);
    }
    await delay(intervalMs);
  }
}
