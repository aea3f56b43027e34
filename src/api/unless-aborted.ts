import { toMillraceError } from '../errors.ts';

/** What `work` gives, or what aborted the signal: a query that is cut off may leave its promise open for ever. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const stop = (): void => reject(toMillraceError(signal.reason));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
