/**
 * Giving memory back to the system when a busy time is over. V8 collects while something is allocated, and glibc keeps
 * what is freed for later: without a word nothing would happen until the next busy time.
 */
import { Session } from 'node:inspector/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** A full collection of the calling thread's garbage. Blocks the thread for some milliseconds per 10 MiB of its heap. */
export function collectGarbage(): void {
  // Only a context that is made under the flag has the function. The flag is that of all threads: it stays set.
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
}

/**
 * Collects the calling thread's garbage and makes its heap as small as can be: the space for new objects too, which
 * grows to 32 MiB in busy times, and which a mere collection leaves as it is. Takes some ten milliseconds.
 */
export async function shrinkHeap(): Promise<void> {
  // What DevTools do by their button; nothing listens on a port.
  const session = new Session();
  session.connect();
  try {
    await session.post('HeapProfiler.collectGarbage');
  } finally {
    session.disconnect();
  }
}

/**
 * Hands pages of freed memory, of all threads, back to the system (`malloc_trim(3)`); without glibc it does nothing.
 * Blocks the calling thread for some ten milliseconds per 100 MiB.
 */
export async function releaseFreedMemory(): Promise<void> {
  if (!hasGlibc()) return;
  const { DataType, load, open } = await import('ffi-rs');
  open({ library: 'libc', path: '' });
  load({
    library: 'libc',
    funcName: 'malloc_trim',
    retType: DataType.I32,
    paramsType: [DataType.U64],
    paramsValue: [0],
  });
}

function hasGlibc(): boolean {
  if (process.platform !== 'linux') return false;
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: unknown } };
  return header.glibcVersionRuntime !== undefined;
}
