/**
 * Times in text → microseconds since the epoch, by bytes and position, without Date or strings.
 * NaN means: not a time. Precision beyond microseconds is cut off. Missing zones and years are judged
 * against the record's own time, never the clock, so that the same record always gives the same event.
 */
import { focus } from '../encode/bytes.ts';
import type { ByteRange } from '../encode/event-row.ts';
import { dayNumber, monthOf, yearOfDay } from './calendar.ts';

const SECOND_US = 1_000_000;
const HOUR_US = 3600 * SECOND_US;
const DAY_SECONDS = 86_400;
const DAY_US = DAY_SECONDS * SECOND_US;
const QUARTER_HOUR_US = 900 * SECOND_US;
const MAX_ZONE_US = 14 * HOUR_US;
const MAX_AHEAD_US = HOUR_US;
const DASH = 0x2d;
const SLASH = 0x2f;
const COLON = 0x3a;
const DOT = 0x2e;
const COMMA = 0x2c;
const PLUS = 0x2b;
const SPACE = 0x20;
const ZERO = 0x30;
const MINUTE_BYTES = 16;
const NO_ZONE = Number.POSITIVE_INFINITY;

/** Whether an event may have this time: not before 1970 and at most an hour past its record's time. */
export function isPlausibleTime(timeUs: number, recordTimeUs: number): boolean {
  return timeUs >= 0 && timeUs <= recordTimeUs + MAX_AHEAD_US;
}

/**
 * Any of the forms below that a field can hold: epoch digits, ISO 8601 / RFC 3339, CLF.
 * Microseconds, negative before 1970; NaN when the bytes are none of them.
 */
export function parseTime(source: Uint8Array, range: ByteRange, recordTimeUs: number): number {
  const { start, end } = range;
  if (end - start >= 10) {
    const fifth = source[start + 4] as number;
    if (fifth === DASH || fifth === SLASH) return parseIsoTime(source, range, recordTimeUs);
    if (source[start + 2] === SLASH) return parseClfTime(source, range, recordTimeUs);
  }
  return parseEpochTime(source, range);
}

/**
 * ISO 8601 and RFC 3339: `2024-05-01T12:34:56,789012345+02:00`. Also a space for the T, slashes in the date,
 * no seconds, a date alone, zones `Z`, `UTC`, `GMT`, `±hh:mm`, `±hhmm`, `±hh`, or none.
 */
export function parseIsoTime(source: Uint8Array, range: ByteRange, recordTimeUs: number): number {
  const { start, end } = range;
  if (end - start < MINUTE_BYTES) {
    return end - start === 10 ? guessZone(isoDayUs(source, start), recordTimeUs) : NaN;
  }
  const minuteUs = isoMinuteUs(source, start);
  const secondsUs = parseSeconds(source, start + MINUTE_BYTES, end);
  const zoneUs = parseZone(source, cursor, end);
  const localUs = minuteUs + secondsUs;
  return zoneUs === NO_ZONE ? guessZone(localUs, recordTimeUs) : localUs - zoneUs;
}

/** The first sixteen bytes of the newest time that was read by words, and their minute. */
const lastMinute = new Int32Array(4);
let lastMinuteUs = NaN;

/** `YYYY-MM-DDTHH:MM` in microseconds, NaN when it is not one; neighbouring events mostly share it. */
function isoMinuteUs(source: Uint8Array, at: number): number {
  if (source !== focus.source) return readMinuteUs(source, at);
  const { view } = focus;
  const first = view.getInt32(at, true);
  const second = view.getInt32(at + 4, true);
  const third = view.getInt32(at + 8, true);
  const fourth = view.getInt32(at + 12, true);
  if (
    fourth === lastMinute[3] &&
    third === lastMinute[2] &&
    second === lastMinute[1] &&
    first === lastMinute[0]
  ) {
    return lastMinuteUs;
  }
  lastMinute[0] = first;
  lastMinute[1] = second;
  lastMinute[2] = third;
  lastMinute[3] = fourth;
  lastMinuteUs = readMinuteUs(source, at);
  return lastMinuteUs;
}

function readMinuteUs(source: Uint8Array, at: number): number {
  const between = (source[at + 10] as number) | 0x20;
  // 'T', 't' and space: the bit turns 'T' into 't' and leaves the others.
  if (between !== 0x74 && between !== SPACE) return NaN;
  return isoDayUs(source, at) + clockMinuteUs(source, at + 11);
}

/** `YYYY-MM-DD` or `YYYY/MM/DD`. */
function isoDayUs(source: Uint8Array, at: number): number {
  const separator = source[at + 4];
  if ((separator !== DASH && separator !== SLASH) || source[at + 7] !== separator) return NaN;
  const century = twoDigits(source, at);
  const year = twoDigits(source, at + 2);
  const month = twoDigits(source, at + 5);
  const day = twoDigits(source, at + 8);
  if ((century | year | month | day) < 0) return NaN;
  return cachedDayUs(century * 100 + year, month, day);
}

/** Common Log Format: `10/Oct/2000:13:55:36 -0700`. */
export function parseClfTime(source: Uint8Array, range: ByteRange, recordTimeUs: number): number {
  const { start, end } = range;
  if (end - start < 20) return NaN;
  if (source[start + 2] !== SLASH || source[start + 6] !== SLASH || source[start + 11] !== COLON) return NaN;
  const day = twoDigits(source, start);
  const century = twoDigits(source, start + 7);
  const year = twoDigits(source, start + 9);
  if ((day | century | year) < 0) return NaN;
  const dayUs = cachedDayUs(century * 100 + year, monthOf(source, start + 3), day);
  const clockUs = clockMinuteUs(source, start + 12) + parseSeconds(source, start + 17, end);
  const zoneUs = parseZone(source, cursor, end);
  return zoneUs === NO_ZONE ? guessZone(dayUs + clockUs, recordTimeUs) : dayUs + clockUs - zoneUs;
}

/**
 * Digits with an optional fraction; the unit follows from the magnitude: seconds below 1e11, then milli-,
 * micro- and nanoseconds for each further factor of a thousand.
 */
function parseEpochTime(source: Uint8Array, range: ByteRange): number {
  const { end } = range;
  const isNegative = range.start < end && source[range.start] === DASH;
  const first = isNegative ? range.start + 1 : range.start;
  let significant = first;
  while (significant < end - 1 && source[significant] === ZERO) significant += 1;
  let at = significant;
  while (at < end && isDigit(source[at] as number)) at += 1;
  const digits = at - significant;
  if (at === first || digits > 20) return NaN;
  let us = wholeNumber(source, significant, digits > 17 ? at - 3 : at) * epochUnitUs(digits);
  if (at < end && source[at] === DOT) {
    us += epochFractionUs(parseFraction(source, at, end), digits);
    at = cursor;
  }
  if (at !== end) return NaN;
  return isNegative ? -us : us;
}

function wholeNumber(source: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at += 1) value = value * 10 + (source[at] as number) - ZERO;
  return value;
}

function epochUnitUs(digits: number): number {
  if (digits <= 11) return SECOND_US;
  return digits <= 14 ? 1000 : 1;
}

/** Microseconds of a fraction, given in millionths of the unit that so many digits stand for. */
function epochFractionUs(millionths: number, digits: number): number {
  if (digits <= 11) return millionths;
  return digits <= 14 ? Math.floor(millionths / 1000) : 0;
}

/**
 * Time of a date without year (RFC 3164), taken as UTC: the latest year in which it is not more than 24 hours
 * past the record's time. Then its zone is guessed as for any time without one. NaN for a day that never is.
 * `month` 1–12, `day` 1–31.
 */
// oxlint-disable-next-line max-params -- the parts of one date, agreed with the text parsers
export function resolveYearless(
  month: number,
  day: number,
  secondsOfDay: number,
  recordTimeUs: number,
): number {
  const limitUs = recordTimeUs + DAY_US;
  const lastYear = yearOfDay(Math.floor(limitUs / DAY_US));
  // Leap days are at most eight years apart.
  for (let year = lastYear; year > lastYear - 9; year -= 1) {
    const timeUs = (dayNumber(year, month, day) * DAY_SECONDS + secondsOfDay) * SECOND_US;
    if (timeUs <= limitUs) return guessZone(timeUs, recordTimeUs);
  }
  return NaN;
}

/**
 * A time without zone counts as UTC. When that lies more than an hour past the record's time, it was a local
 * time east of it: the whole quarter hours, at most fourteen hours, that bring it nearest are taken off.
 */
export function guessZone(timeUs: number, recordTimeUs: number): number {
  const aheadUs = timeUs - recordTimeUs;
  if (!(aheadUs > MAX_AHEAD_US)) return timeUs;
  return timeUs - Math.min(Math.round(aheadUs / QUARTER_HOUR_US) * QUARTER_HOUR_US, MAX_ZONE_US);
}

/** Where the last part that was read ended. */
let cursor = 0;

/** `HH:MM` at `at` in microseconds, NaN when it is not one. */
function clockMinuteUs(source: Uint8Array, at: number): number {
  const hours = twoDigits(source, at);
  const minutes = twoDigits(source, at + 3);
  if (source[at + 2] !== COLON || (hours | minutes) < 0 || hours > 23 || minutes > 59) return NaN;
  return (hours * 60 + minutes) * 60 * SECOND_US;
}

/** `[:SS[.fraction]]` at `at` in microseconds, NaN for bad digits; leaves `cursor` after it. */
function parseSeconds(source: Uint8Array, at: number, end: number): number {
  cursor = at;
  if (end - at < 3 || source[at] !== COLON) return 0;
  const seconds = twoDigits(source, at + 1);
  // 60 is a leap second and counts as the next minute's first.
  if (seconds < 0 || seconds > 60) return NaN;
  cursor = at + 3;
  if (end > cursor && (source[cursor] === DOT || source[cursor] === COMMA)) {
    return seconds * SECOND_US + parseFraction(source, cursor, end);
  }
  return seconds * SECOND_US;
}

const FRACTION_UNITS = [NaN, 100_000, 10_000, 1000, 100, 10, 1] as const;

/** Millionths of the fraction whose point is at `at`, NaN without digits; leaves `cursor` after it. */
function parseFraction(source: Uint8Array, at: number, end: number): number {
  let value = 0;
  let digits = 0;
  let from = at + 1;
  for (; from < end; from += 1) {
    const digit = (source[from] as number) - ZERO;
    if (digit >>> 0 > 9) break;
    if (digits === 6) continue;
    value = value * 10 + digit;
    digits += 1;
  }
  cursor = from;
  return value * (FRACTION_UNITS[digits] as number);
}

/** Offset from UTC in microseconds of the zone that fills [at, end): NO_ZONE when empty, NaN when it is not one. */
function parseZone(source: Uint8Array, at: number, end: number): number {
  let from = at;
  if (from < end && source[from] === SPACE) from += 1;
  if (from >= end) return from > at ? NaN : NO_ZONE;
  const length = end - from;
  const sign = source[from] as number;
  if (sign === PLUS || sign === DASH) {
    const offsetUs = parseOffset(source, from + 1, length - 1);
    return sign === PLUS ? offsetUs : -offsetUs;
  }
  if (length === 1) return (sign | 0x20) === 0x7a ? 0 : NaN;
  return length === 3 && isUtcName(source, from) ? 0 : NaN;
}

/** `hh`, `hhmm` or `hh:mm`, at most 23:59. */
function parseOffset(source: Uint8Array, at: number, length: number): number {
  if (length !== 2 && length !== 4 && !(length === 5 && source[at + 2] === COLON)) return NaN;
  const hours = twoDigits(source, at);
  const minutes = length === 2 ? 0 : twoDigits(source, at + length - 2);
  if ((hours | minutes) < 0 || hours > 23 || minutes > 59) return NaN;
  return (hours * 60 + minutes) * 60 * SECOND_US;
}

function isUtcName(source: Uint8Array, at: number): boolean {
  const first = source[at];
  if (first === 0x55) return source[at + 1] === 0x54 && source[at + 2] === 0x43;
  return first === 0x47 && source[at + 1] === 0x4d && source[at + 2] === 0x54;
}

let lastDate = -1;
let lastDayUs = NaN;

/** Start of a day; the newest one is kept, since neighbouring events share it. */
function cachedDayUs(year: number, month: number, day: number): number {
  const date = (year * 100 + month) * 100 + day;
  if (date !== lastDate) {
    lastDate = date;
    lastDayUs = dayNumber(year, month, day) * DAY_US;
  }
  return lastDayUs;
}

/** Value of the two digits at `at`, -1 when they are not two digits. The caller checks the bounds. */
function twoDigits(source: Uint8Array, at: number): number {
  const tens = (source[at] as number) - ZERO;
  const ones = (source[at + 1] as number) - ZERO;
  return tens >>> 0 > 9 || ones >>> 0 > 9 ? -1 : tens * 10 + ones;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= 0x39;
}
