/**
 * The life of a serving program: started, told to stop by a signal, drained. The second signal ends it at once.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config.ts';
import { EXIT_FAILED } from './output.ts';
import { listenForStop } from './stop-signal.ts';

const LINGER_MS = 500;
/** What a start may still take once it is told to stop, so that it leaves nothing half open. */
const START_GRACE_MS = 5000;

export interface Stoppable {
  /** Resolves with true when nothing that was taken is left to be done. */
  stop(deadlineMs: number): Promise<boolean>;
}

/**
 * Exit code 0 after a full drain, 1 when the deadline cut it short (nothing is lost: Kafka has it still). Told to stop
 * before it has started it ends with 0, also when it waits for something or could not start: it has taken nothing.
 */
export async function runUntilStopped(
  service: Stoppable,
  config: Config,
  start: () => Promise<void>,
): Promise<void> {
  const stop = listenForStop();
  setMaxListeners(0, stop.signal);
  const told = new Promise<void>((resolve) => {
    if (stop.signal.aborted) resolve();
    else stop.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  try {
    if (!stop.signal.aborted && (await isStarted(start(), told))) {
      await told;
      const isDrained = await service.stop(config.drainTimeoutMs);
      if (!isDrained) process.exitCode = EXIT_FAILED;
    }
    // A client library's retry that outlives its client must not outlive the program.
    setTimeout(() => process.exit(), LINGER_MS).unref();
  } finally {
    stop.release();
  }
}

/**
 * True: there is something to stop, if only a start that does not end in its grace. False: it was told to stop, and
 * then could not start. Rejects with what kept it from starting before that.
 */
async function isStarted(starting: Promise<void>, told: Promise<void>): Promise<boolean> {
  const settled = new AbortController();
  let isTold = false;
  const graceOver = async (): Promise<void> => {
    await told;
    isTold = true;
    await delay(START_GRACE_MS, undefined, { signal: settled.signal }).catch(() => undefined);
  };
  try {
    await Promise.race([starting, graceOver()]);
    return true;
  } catch (error) {
    if (isTold) return false;
    throw error;
  } finally {
    settled.abort();
    // Whatever becomes of it later is nobody's.
    starting.catch(() => undefined);
  }
}
