/**
 * Network counters as a function of time: runs that follow one another continue the same curve, whatever their
 * seeds are, so that the rates between them stay those of one host. Only additions and products, exact everywhere.
 */

/** The curve begins here and again every COUNTER_SPAN_S; before it as well, so that no time is negative. */
const COUNTER_EPOCH_S = Date.UTC(2024, 0, 1) / 1000;
/** Sixteen years: at the highest rate the counters stay far below 2^53. */
const COUNTER_SPAN_S = 16 * 365 * 86_400;
/** The rate rises from a tenth of the average to 1.9 times of it and drops again, in two rhythms at once. */
const PERIODS_S = [90, 3540];
const SWING = 0.9;

/** Bytes per second of the host with this index, spread over the limits. */
export function trafficRate(
  index: number,
  { least, most }: { readonly least: number; readonly most: number },
): number {
  return least + Math.floor(((index * 61) % 97) * ((most - least) / 96));
}

/** What a host with this average rate has counted at `timestampUs`; grows with time. */
export function trafficBytes(bytesPerSecond: number, timestampUs: number): number {
  const sinceEpochS = (timestampUs / 1_000_000 - COUNTER_EPOCH_S) % COUNTER_SPAN_S;
  const elapsedS = sinceEpochS < 0 ? sinceEpochS + COUNTER_SPAN_S : sinceEpochS;
  let weightedS = 0;
  for (const periodS of PERIODS_S) {
    const cycleCount = Math.floor(elapsedS / periodS);
    const phase = elapsedS / periodS - cycleCount;
    // Integral of a rate that rises evenly within each period.
    weightedS += periodS * (cycleCount + phase + SWING * (phase * phase - phase));
  }
  return Math.floor((bytesPerSecond * weightedS) / PERIODS_S.length);
}
