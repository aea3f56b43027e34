/**
 * The life of a serving program: started, told to stop by a signal, drained. The second signal ends it at once.
 */
import { setMaxListeners } from 'node:events';
import type { Config } from '../config.ts';
import { EXIT_FAILED } from './output.ts';
import type { Service } from './service.ts';
import { listenForStop } from './stop-signal.ts';

const LINGER_MS = 500;

/** Exit code 0 after a full drain, 1 when the deadline cut it short (nothing is lost: Kafka has it still). */
export async function runUntilStopped(
  service: Service,
  config: Config,
  start: () => Promise<void>,
): Promise<void> {
  const stop = listenForStop();
  setMaxListeners(0, stop.signal);
  try {
    await start();
    await new Promise<void>((resolve) => {
      if (stop.signal.aborted) resolve();
      else stop.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const isDrained = await service.stop(config.drainTimeoutMs);
    if (!isDrained) process.exitCode = EXIT_FAILED;
    // A client library's retry that outlives its client must not outlive the program.
    setTimeout(() => process.exit(), LINGER_MS).unref();
  } finally {
    stop.release();
  }
}
