/** Skips a test that this machine cannot run, in such a way that the JSON report says why. */
import type { TestContext } from 'vitest';

declare module 'vitest' {
  export interface TaskMeta {
    skipped?: string;
  }
}

export function skipHere(context: TestContext, why: string): never {
  context.task.meta.skipped = why;
  return context.skip(why);
}
