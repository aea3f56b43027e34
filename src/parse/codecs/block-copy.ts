/** Copies that the block kernels share; the short ones are written out in the kernels themselves. */

/** From here on a native bulk copy is cheaper than copying four bytes at a time. */
export const BULK_BYTES = 128;

export interface Repetition {
  readonly output: Uint8Array;
  /** Where the repeated bytes start, and where they are repeated: [to, end). They may overlap. */
  readonly from: number;
  readonly to: number;
  readonly end: number;
}

/** A long run of a short period: what is there doubles natively, so that bombs are cheap to unpack. */
export function repeatLong(run: Repetition): void {
  const { output, from, end } = run;
  for (let at = run.to; at < end; ) {
    // Everything between `from` and `at` repeats the period, so each round may copy all of it.
    const length = Math.min(at - from, end - at);
    output.copyWithin(at, from, from + length);
    at += length;
  }
}
