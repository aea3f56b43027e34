/**
 * The pool of parse workers. The only file that knows Piscina.
 */
import { Piscina } from 'piscina';
import { MillraceError, toMillraceError } from '../errors.ts';
import { armedFailpoints } from '../failpoints.ts';
import { workerFile } from '../worker-file.ts';
import type { FrameResult, FrameTask, ParseResult, ParseTask, ParseWorkerData } from './parse-protocol.ts';

export interface ParsePool {
  readonly workerCount: number;
  /** Rejects with `thread_died` when the worker ended while it had the task. */
  parse(task: ParseTask): Promise<ParseResult>;
  frame(task: FrameTask): Promise<FrameResult>;
  stop(): Promise<void>;
}

/** Tasks a worker may hold: one in hand and one waiting, so that it does not idle while the main thread is busy. */
export const TASKS_PER_WORKER = 2;

const WORKER_HEAP_MB = 192;
const WATCH_INTERVAL_MS = 1000;
const SHORT_TICKS = 3;

/**
 * Piscina replaces a worker that dies, except one that dies before it is ready: then it starts none any more and its
 * tasks wait for ever. So a pool that is short of workers is replaced as a whole; its tasks reject and are parsed anew.
 */
export function createParsePool(workerCount: number, workerData: ParseWorkerData): ParsePool {
  let pool = createPool(workerCount, workerData);
  let isStopped = false;
  let shortTickCount = 0;
  const watch = setInterval(() => {
    shortTickCount = pool.threads.length < workerCount ? shortTickCount + 1 : 0;
    // A worker that died a moment ago is being replaced by Piscina itself.
    if (shortTickCount < SHORT_TICKS) return;
    const short = pool;
    shortTickCount = 0;
    pool = createPool(workerCount, workerData);
    void short.destroy();
  }, WATCH_INTERVAL_MS);
  watch.unref();

  async function run<T>(task: ParseTask | FrameTask): Promise<T> {
    try {
      return (await pool.run(task)) as T;
    } catch (error) {
      if (isStopped) throw new MillraceError('shutting_down', 'The parse workers are stopped.');
      if (error instanceof MillraceError) throw error;
      throw new MillraceError('thread_died', `A parse worker failed: ${toMillraceError(error).message}`, {
        cause: error,
      });
    }
  }

  return {
    workerCount,
    parse: (task) => run<ParseResult>(task),
    frame: (task) => run<FrameResult>(task),
    stop: async () => {
      isStopped = true;
      clearInterval(watch);
      await pool.destroy();
    },
  };
}

function createPool(workerCount: number, workerData: ParseWorkerData): Piscina {
  const { url, execArgv } = workerFile('parse-batch');
  const pool = new Piscina({
    filename: url.href,
    execArgv,
    workerData: { ...workerData, failpoints: armedFailpoints() },
    minThreads: workerCount,
    maxThreads: workerCount,
    concurrentTasksPerWorker: TASKS_PER_WORKER,
    idleTimeout: Number.POSITIVE_INFINITY,
    recordTiming: false,
    resourceLimits: { maxOldGenerationSizeMb: WORKER_HEAP_MB },
  });
  // Without a listener an error outside a task would end the process; the task itself rejects.
  pool.on('error', () => undefined);
  return pool;
}
