/**
 * The life of a serving program: started, told to stop by a signal, drained. The second signal ends it at once.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config.ts';
import { EXIT_DONE, EXIT_FAILED } from './output.ts';
import type { Service } from './service.ts';
import { listenForStop } from './stop-signal.ts';

const LINGER_MS = 500;
/** What a start may still take once it is told to stop, so that it leaves nothing half open. */
const START_GRACE_MS = 5000;

/**
 * Exit code 0 after a full drain, 1 when the deadline cut it short (nothing is lost: Kafka has it still). Told to stop
 * before it has started it ends with 0, also when it waits for something or could not start: it has taken nothing.
 */
export async function runUntilStopped(
  service: Service,
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
    if (!stop.signal.aborted && (await hasStarted(start(), told))) {
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

/** False when it was told to stop and did not start in its grace; rejects with what kept it from starting before that. */
async function hasStarted(starting: Promise<void>, told: Promise<void>): Promise<boolean> {
  const toldToStop = told.then(() => 'told' as const);
  const started = starting.then(() => 'started' as const);
  if ((await Promise.race([started, toldToStop])) === 'started') return true;
  const isStarted = started.then(
    () => true,
    () => false,
  );
  const isOver = delay(START_GRACE_MS).then(() => undefined);
  const answer = await Promise.race([isStarted, isOver]);
  // What it waits for holds the program, and has nothing of its.
  if (answer === undefined) process.exit(EXIT_DONE);
  return answer;
}
