/** The line through samples, by least squares. */

export interface Sample {
  readonly atMs: number;
  readonly value: number;
}

/** Change of the value per second; 0 for fewer than two samples. */
export function slopePerSecond(samples: readonly Sample[]): number {
  const meanMs = mean(samples.map(({ atMs }) => atMs));
  const meanValue = mean(samples.map(({ value }) => value));
  let covariance = 0;
  let variance = 0;
  for (const { atMs, value } of samples) {
    covariance += (atMs - meanMs) * (value - meanValue);
    variance += (atMs - meanMs) ** 2;
  }
  return variance === 0 ? 0 : (1000 * covariance) / variance;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
