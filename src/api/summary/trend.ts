/**
 * Where a metric is going: slope by least squares, and the change against the period before.
 */

export interface TrendPoint {
  /** Seconds. */
  readonly time: number;
  readonly value: number;
}

export interface Trend {
  readonly slope_per_hour: number | null;
  readonly previous_avg: number | null;
  readonly change_percent: number | null;
  readonly direction: 'up' | 'down' | 'flat';
}

const HOUR = 3600;
/** A line that rises or falls by less than this part of the average over the range counts as flat. */
const FLAT_PART = 0.01;

/** Slope of the line through `points` with the least squared error, per second; null below two distinct times. */
export function leastSquaresSlope(points: readonly TrendPoint[]): number | null {
  const count = points.length;
  const meanTime = points.reduce((sum, point) => sum + point.time, 0) / count;
  const meanValue = points.reduce((sum, point) => sum + point.value, 0) / count;
  let covariance = 0;
  let variance = 0;
  for (const { time, value } of points) {
    covariance += (time - meanTime) * (value - meanValue);
    variance += (time - meanTime) ** 2;
  }
  return variance > 0 ? covariance / variance : null;
}

export function trendOf(
  points: readonly TrendPoint[],
  averages: { readonly current: number | null; readonly previous: number | null },
): Trend {
  const { current, previous } = averages;
  const slope = leastSquaresSlope(points);
  const hasChange = current !== null && previous !== null && previous !== 0;
  return {
    slope_per_hour: slope === null ? null : slope * HOUR,
    previous_avg: previous,
    change_percent: hasChange ? ((current - previous) / previous) * 100 : null,
    direction: directionOf(slope, points, current ?? 0),
  };
}

function directionOf(
  slope: number | null,
  points: readonly TrendPoint[],
  average: number,
): Trend['direction'] {
  const first = points[0]?.time ?? 0;
  const last = points.at(-1)?.time ?? 0;
  const rise = (slope ?? 0) * (last - first);
  if (Math.abs(rise) <= Math.abs(average) * FLAT_PART) return 'flat';
  return rise > 0 ? 'up' : 'down';
}
