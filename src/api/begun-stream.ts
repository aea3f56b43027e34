/**
 * A body whose making has begun before the answer: what goes wrong at the start still has a status of its own.
 */
import type { BodyStream } from './http/port.ts';

/** How long an answer waits for the first bytes of its body. Later errors can only cut the body off. */
const FIRST_BYTES_MS = 5000;

/** Throws what `chunks` throws before its first chunk, if it does so soon. */
export async function beginStream(chunks: AsyncGenerator<string | Uint8Array>): Promise<BodyStream> {
  const first = chunks.next();
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, FIRST_BYTES_MS);
  });
  await Promise.race([first, patience]).finally(() => clearTimeout(timer));
  let begun: Promise<IteratorResult<string | Uint8Array>> | undefined = first;
  // Nobody may come to read it: then its error has been told to nobody, and that is all.
  first.catch(() => undefined);
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        const next = begun ?? chunks.next();
        begun = undefined;
        return next;
      },
      return: () => chunks.return(undefined),
    }),
  };
}
