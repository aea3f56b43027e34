/**
 * Time at the head of a line: `Nov  1 09:00:00` of RFC 3164, with the additions that devices make to it
 * (a year before or behind the clock, a fraction, a `*` or `.` of an unsynchronised clock), and ISO 8601.
 */
import type { ByteRange } from '../../encode/event-row.ts';
import { dayNumber, monthOf } from '../calendar.ts';
import { guessZone, parseIsoTime, resolveYearless } from '../time.ts';
import { Byte, isDigit, type Line } from './line.ts';

const SECOND_US = 1_000_000;
const DAY_SECONDS = 86_400;
const CLOCK_BYTES = 8;
const DATE_BYTES = 10;
/** `Nov  1 09:00:00` */
const USUAL_BYTES = 15;
const DAY_US = DAY_SECONDS * SECOND_US;
const YEAR_US = 365 * DAY_US;
const MIN_YEAR = 1970;
const MAX_YEAR = 2199;

export class SyslogTime {
  /** NaN: it has the form of a time and is none. */
  timeUs = 0;
  /** First byte behind the time. */
  end = 0;
  readonly #range: ByteRange = { start: 0, end: 0 };
  /** The date without year that was resolved last, and its midnight; NaN when that may differ by time of day. */
  #date = 0;
  #midnightUs = Number.NaN;

  /** `Mmm dd[ yyyy] hh:mm:ss[.ffffff][ yyyy]` at `at`; false when the line has no such thing there. */
  readLegacy(line: Line, at: number, recordTimeUs: number): boolean {
    return this.#readUsual(line, at, recordTimeUs) || this.#readUnusual(line, at, recordTimeUs);
  }

  /** The form of RFC 3164 as nearly all lines have it, by position (bench/parse-text.ts). */
  #readUsual(line: Line, at: number, recordTimeUs: number): boolean {
    const bytes = line.bytes;
    if (at + USUAL_BYTES >= line.end || isDigit(bytes[at + USUAL_BYTES + 1])) return false;
    if (
      bytes[at + 3] !== Byte.space ||
      bytes[at + 6] !== Byte.space ||
      bytes[at + 9] !== Byte.colon ||
      bytes[at + 12] !== Byte.colon ||
      bytes[at + USUAL_BYTES] !== Byte.space
    ) {
      return false;
    }
    const month = monthOf(bytes, at);
    const tens = bytes[at + 4] as number;
    const ones = (bytes[at + 5] as number) - Byte.zero;
    const day = tens === Byte.space ? (ones >= 0 && ones <= 9 ? ones : -1) : twoDigits(bytes, at + 4);
    const seconds = secondsOfDay(line, at + 7);
    if (month === 0 || day < 0 || seconds < 0) return false;
    this.end = at + USUAL_BYTES;
    this.timeUs = this.#resolve(month * 32 + day, seconds, recordTimeUs);
    return true;
  }

  #readUnusual(line: Line, at: number, recordTimeUs: number): boolean {
    const first = line.at(at);
    const start = first === Byte.asterisk || first === Byte.dot ? at + 1 : at;
    if (line.at(start + 3) !== Byte.space) return false;
    const month = monthOf(line.bytes, start);
    if (month === 0) return false;
    const dayStart = line.skipSpaces(start + 4);
    const dayEnd = line.digitsEnd(dayStart);
    const day = line.uint(dayStart, dayEnd);
    if (day === -1 || dayEnd - dayStart > 2 || line.at(dayEnd) !== Byte.space) return false;
    let clock = line.skipSpaces(dayEnd);
    let year = yearAt(line, clock);
    if (year !== 0) clock = line.skipSpaces(clock + 4);
    const seconds = secondsOfDay(line, clock);
    if (seconds === -1) return false;
    this.end = clock + CLOCK_BYTES;
    const fractionUs = line.at(this.end) === Byte.dot ? this.#readFraction(line, this.end + 1) : 0;
    if (year === 0) {
      year = line.at(this.end) === Byte.space ? yearAt(line, this.end + 1) : 0;
      if (year !== 0) this.end += 5;
    }
    this.timeUs =
      fractionUs +
      (year === 0
        ? this.#resolve(month * 32 + day, seconds, recordTimeUs)
        : guessZone((dayNumber(year, month, day) * DAY_SECONDS + seconds) * SECOND_US, recordTimeUs));
    return true;
  }

  /** ISO 8601 up to the next space; the date may also stand apart from the clock. */
  readIso(line: Line, at: number, recordTimeUs: number): boolean {
    if (line.at(at + 4) !== Byte.dash || line.at(at + 7) !== Byte.dash) return false;
    this.#range.start = at;
    this.end = line.tokenEnd(at);
    if (this.end - at === DATE_BYTES && isDigit(line.at(this.end + 1)))
      this.end = line.tokenEnd(this.end + 1);
    this.#range.end = this.end;
    this.timeUs = parseIsoTime(line.bytes, this.#range, recordTimeUs);
    return !Number.isNaN(this.timeUs);
  }

  /** As `resolveYearless`, with the midnight of the last date kept: most lines are of the day of the line before. */
  #resolve(date: number, seconds: number, recordTimeUs: number): number {
    const midnightUs = this.#midnightUs;
    // Past by a day, so that every time of it counts, and the same date of the next year is still to come.
    const ageUs = recordTimeUs - midnightUs;
    if (date === this.#date && ageUs >= SECOND_US && ageUs < YEAR_US - DAY_US) {
      return guessZone(midnightUs + seconds * SECOND_US, recordTimeUs);
    }
    const month = Math.floor(date / 32);
    const resolvedUs = resolveYearless(month, date % 32, 0, recordTimeUs);
    this.#date = date;
    // A zone that was guessed moves it off midnight.
    this.#midnightUs = resolvedUs % DAY_US === 0 ? resolvedUs : Number.NaN;
    return resolveYearless(month, date % 32, seconds, recordTimeUs);
  }

  #readFraction(line: Line, at: number): number {
    const end = line.digitsEnd(at);
    let value = 0;
    for (let i = 0; i < 6; i++) value = value * 10 + (at + i < end ? line.at(at + i) - Byte.zero : 0);
    this.end = end;
    return value;
  }
}

/** Four digits and then a space or colon, 0 when there are none. */
function yearAt(line: Line, at: number): number {
  if (line.digitsEnd(at) !== at + 4) return 0;
  const next = line.at(at + 4);
  const year = line.uint(at, at + 4);
  return (next === Byte.space || next === Byte.colon) && year >= MIN_YEAR && year <= MAX_YEAR ? year : 0;
}

/** `hh:mm:ss`, -1 when it is not one. */
function secondsOfDay(line: Line, at: number): number {
  if (at + CLOCK_BYTES > line.end) return -1;
  if (line.at(at + 2) !== Byte.colon || line.at(at + 5) !== Byte.colon) return -1;
  const hours = twoDigits(line.bytes, at);
  const minutes = twoDigits(line.bytes, at + 3);
  const seconds = twoDigits(line.bytes, at + 6);
  if (hours > 23 || minutes > 59 || seconds > 60 || Math.min(hours, minutes, seconds) < 0) return -1;
  return hours * 3600 + minutes * 60 + seconds;
}

/** Below zero when they are not two digits. */
function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = (bytes[at] as number) - Byte.zero;
  const ones = (bytes[at + 1] as number) - Byte.zero;
  return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? -1 : tens * 10 + ones;
}
