/** Record times come from producers: they are kept inside what every time column can hold. */

/** An hour before the end of ClickHouse's DateTime (2106-02-07), since an event may lie an hour past its record. */
const MAX_RECORD_TIME_US = (4_294_967_295 - 3600) * 1_000_000;

export function clampRecordTime(microseconds: number): number {
  if (microseconds >= 0) return Math.min(microseconds, MAX_RECORD_TIME_US);
  return 0;
}
