/**
 * How many queries of one user or key run at once in this process: the connections to ClickHouse are for everybody.
 */
import { MillraceError, toMillraceError } from '../../errors.ts';

const MAX_RUNNING = 4;
/** What a page that asks for many things at once, and many such pages, may have waiting. */
const MAX_WAITING = 200;
/** Less than an export has for its first bytes (begun-stream.ts), so that it can still be refused. */
const MAX_WAIT_MS = 4000;

interface Waiting {
  readonly enter: () => void;
}

interface Queue {
  runningCount: number;
  /** In the order of coming. */
  readonly waiting: Set<Waiting>;
}

/** Holds a queue for each user with a query; a place that is free goes to who waits longest. */
export class QuerySlots {
  readonly #queues = new Map<string, Queue>();
  readonly #maxWaitMs: number;

  constructor(maxWaitMs: number = MAX_WAIT_MS) {
    this.#maxWaitMs = maxWaitMs;
  }

  /** Throws `too_many_requests` when there is no place in time, and what aborted the signal. */
  async run<T>(username: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(username) ?? { runningCount: 0, waiting: new Set() };
    this.#queues.set(username, queue);
    if (queue.runningCount < MAX_RUNNING) queue.runningCount++;
    else await this.#wait(queue, signal);
    try {
      return await work();
    } finally {
      this.#leave(username, queue);
    }
  }

  #wait(queue: Queue, signal: AbortSignal): Promise<void> {
    if (queue.waiting.size >= MAX_WAITING) return Promise.reject(this.#refusal());
    return new Promise((resolve, reject) => {
      const end = (): void => {
        queue.waiting.delete(waiting);
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
      };
      const waiting = {
        enter: () => {
          end();
          resolve();
        },
      };
      const abort = (): void => {
        end();
        reject(toMillraceError(signal.reason));
      };
      const timer = setTimeout(() => {
        end();
        reject(this.#refusal());
      }, this.#maxWaitMs);
      queue.waiting.add(waiting);
      signal.addEventListener('abort', abort);
      if (signal.aborted) abort();
    });
  }

  #leave(username: string, queue: Queue): void {
    for (const next of queue.waiting) {
      next.enter();
      return;
    }
    queue.runningCount--;
    if (queue.runningCount === 0) this.#queues.delete(username);
  }

  #refusal(): MillraceError {
    return new MillraceError('too_many_requests', `${MAX_RUNNING} queries of yours are running: try again.`, {
      retryAfterSeconds: Math.ceil(this.#maxWaitMs / 1000),
    });
  }
}
