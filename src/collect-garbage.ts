/**
 * A full collection of the calling thread's garbage. V8 collects while something is allocated, so what a busy time
 * left behind would lie in an idle thread until the next one: buffers outside the heap above all.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Blocks the thread for some milliseconds per 10 MiB of its heap. */
export function collectGarbage(): void {
  // Only a context that is made under the flag has the function. The flag is that of all threads: it stays set.
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
}
