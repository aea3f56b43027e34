/**
 * The pool of parse workers. The only file that knows Piscina.
 */
import { Piscina } from 'piscina';
import { MillraceError, toMillraceError } from '../errors.ts';
import { armedFailpoints } from '../failpoints.ts';
import { workerFile } from '../worker-file.ts';
import type {
  FrameResult,
  FrameTask,
  ParseResult,
  ParseTask,
  ParseWorkerData,
  TrimTask,
} from './parse-protocol.ts';

export interface ParsePool {
  readonly workerCount: number;
  /** Rejects with `thread_died` when the worker ended while it had the task. */
  parse(task: ParseTask): Promise<ParseResult>;
  /** The same on a worker of its own, so that a task that ends its worker ends no other. One at a time. */
  parseAlone(task: ParseTask): Promise<ParseResult>;
  frame(task: FrameTask): Promise<FrameResult>;
  /** Makes idle workers give their memory back. */
  trim(): Promise<void>;
  stop(): Promise<void>;
}

/** Tasks a worker may hold: one in hand and one waiting, so that it does not idle while the main thread is busy. */
export const TASKS_PER_WORKER = 2;

const WORKER_HEAP_MB = 192;
/** The worker for tasks that are parsed alone goes after so much time without one. */
const LONE_IDLE_MS = 10_000;
const WATCH_INTERVAL_MS = 1000;
const SHORT_TICKS = 3;

/**
 * Piscina replaces a worker that dies, except one that dies before it is ready: then it starts none any more and its
 * tasks wait for ever. So a pool that is short of workers is replaced as a whole; its tasks reject and are parsed anew.
 */
export function createParsePool(workerCount: number, workerData: ParseWorkerData): ParsePool {
  let pool = createPool(workerCount, workerData);
  let isStopped = false;
  let lone: Piscina | undefined;
  let loneIdle: NodeJS.Timeout | undefined;
  const endLone = (): void => {
    void lone?.destroy();
    lone = undefined;
  };
  const shortTickCounts = new WeakMap<Piscina, number>();
  const isShort = (watched: Piscina, wantedCount: number): boolean => {
    const count = watched.threads.length < wantedCount ? (shortTickCounts.get(watched) ?? 0) + 1 : 0;
    shortTickCounts.set(watched, count);
    // A worker that died a moment ago is being replaced by Piscina itself.
    return count >= SHORT_TICKS;
  };
  const watch = setInterval(() => {
    if (lone !== undefined && isShort(lone, 1)) endLone();
    if (!isShort(pool, workerCount)) return;
    const short = pool;
    pool = createPool(workerCount, workerData);
    void short.destroy();
  }, WATCH_INTERVAL_MS);
  watch.unref();

  async function runAlone(task: ParseTask): Promise<ParseResult> {
    clearTimeout(loneIdle);
    lone ??= createPool(1, workerData);
    const worker = lone;
    try {
      return await run<ParseResult>(task, worker);
    } catch (error) {
      // Its worker could not be started, and the pool was given up: the task was never in its hands.
      if (worker === lone) throw error;
      throw new MillraceError('shutting_down', 'A worker of its own could not be started.', { cause: error });
    } finally {
      clearTimeout(loneIdle);
      loneIdle = setTimeout(endLone, LONE_IDLE_MS).unref();
    }
  }

  async function run<T>(task: ParseTask | FrameTask | TrimTask, workers = pool): Promise<T> {
    try {
      return (await workers.run(task)) as T;
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
    parseAlone: runAlone,
    frame: (task) => run<FrameResult>(task),
    // The pool gives each task to the worker that has the fewest: every idle one gets one.
    trim: async () => {
      await Promise.all(Array.from({ length: workerCount }, () => run<undefined>({ kind: 'trim' })));
    },
    stop: async () => {
      isStopped = true;
      clearInterval(watch);
      clearTimeout(loneIdle);
      endLone();
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
