/** The proleptic Gregorian calendar in days since 1970, without Date. */

const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334] as const;

export function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** Days since 1970-01-01; NaN when there is no such day. `month` 1–12. */
export function dayNumber(year: number, month: number, day: number): number {
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return NaN;
  const before = year - 1;
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400) - 477;
  const leapDay = month > 2 && isLeapYear(year) ? 1 : 0;
  return (year - 1970) * 365 + leapDays + (DAYS_BEFORE_MONTH[month - 1] ?? 0) + leapDay + day - 1;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return isLeapYear(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Year of a day number. */
export function yearOfDay(day: number): number {
  let year = 1970 + Math.floor(day / 365.2425);
  if (dayNumber(year, 1, 1) > day) year -= 1;
  else if (dayNumber(year + 1, 1, 1) <= day) year += 1;
  return year;
}

const MONTH_NAMES = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MONTH_BY_CODE = new Map(
  MONTH_NAMES.map((name, index) => [letterCode(Buffer.from(name), 0), index + 1]),
);

/** Month 1–12 of the three-letter English name at `at`, in any case; 0 when there is none. */
export function monthOf(source: Uint8Array, at: number): number {
  return at + 3 <= source.length ? (MONTH_BY_CODE.get(letterCode(source, at)) ?? 0) : 0;
}

function letterCode(source: Uint8Array, at: number): number {
  return (
    (((source[at] ?? 0) | 0x20) << 16) |
    (((source[at + 1] ?? 0) | 0x20) << 8) |
    ((source[at + 2] ?? 0) | 0x20)
  );
}
