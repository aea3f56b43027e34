/**
 * Counts what may happen very often, and tells of it once a second at most.
 */

const TELL_MS = 1000;

/** Each call of the result counts one; `tell` gets their number. */
export function tally(tell: (count: number) => void): () => void {
  let count = 0;
  return () => {
    count++;
    if (count > 1) return;
    const end = (): void => {
      tell(count);
      count = 0;
    };
    setTimeout(end, TELL_MS).unref();
  };
}
