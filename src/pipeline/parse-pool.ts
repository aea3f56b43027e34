/**
 * The pool of parse workers. The only file that knows Piscina.
 */
import { Piscina } from 'piscina';
import { MillraceError, toMillraceError } from '../errors.ts';
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

export function createParsePool(workerCount: number, workerData: ParseWorkerData): ParsePool {
  const { url, execArgv } = workerFile('parse-batch');
  const pool = new Piscina({
    filename: url.href,
    execArgv,
    workerData,
    minThreads: workerCount,
    maxThreads: workerCount,
    concurrentTasksPerWorker: TASKS_PER_WORKER,
    idleTimeout: Number.POSITIVE_INFINITY,
    recordTiming: false,
    resourceLimits: { maxOldGenerationSizeMb: WORKER_HEAP_MB },
  });
  // Without a listener an error outside a task would end the process; the task itself rejects below.
  pool.on('error', () => undefined);

  async function run<T>(task: ParseTask | FrameTask): Promise<T> {
    try {
      return (await pool.run(task)) as T;
    } catch (error) {
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
    stop: () => pool.destroy(),
  };
}
