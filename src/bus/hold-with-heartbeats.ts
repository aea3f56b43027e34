/** Waiting inside a handler of kafkajs without being taken for dead by the group. */
import { MillraceError } from '../errors.ts';

export interface Hold {
  /** Rejects when the group is rebalancing: whoever holds must let go. */
  readonly heartbeat: () => Promise<void>;
  readonly intervalMs: number;
  /** Ends the wait with `shutting_down`. */
  readonly signal: AbortSignal;
}

/** Waits for `work`, sending heartbeats. A failed heartbeat or the signal ends the wait; the work itself goes on. */
export async function holdWithHeartbeats(work: Promise<void>, hold: Hold): Promise<void> {
  const { heartbeat, intervalMs, signal } = hold;
  let stopWaiting: () => void = () => undefined;
  const interrupted = new Promise<never>((_resolve, reject) => {
    const interrupt = (): void => {
      reject(new MillraceError('shutting_down', 'The Kafka source is stopping.'));
    };
    const timer = setInterval(() => {
      heartbeat().catch(reject);
    }, intervalMs);
    signal.addEventListener('abort', interrupt, { once: true });
    if (signal.aborted) interrupt();
    stopWaiting = () => {
      clearInterval(timer);
      signal.removeEventListener('abort', interrupt);
    };
  });
  try {
    await Promise.race([work, interrupted]);
  } finally {
    stopWaiting();
  }
}
