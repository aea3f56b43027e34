/**
 * The intervals that a range of time is cut into: chosen by the client, or such that there are at most 300.
 */
import { MillraceError, quoteValue } from '../errors.ts';
import { badRequest } from './problem.ts';

/** In seconds since the epoch, `toS` exclusive. */
export interface Span {
  readonly fromS: number;
  readonly toS: number;
}

const MAX_POINTS = 300;
const MAX_INTERVAL_DAYS = 366;
export const MINUTE = 60;
export const HOUR = 3600;
export const DAY = 86_400;
const UNITS: Readonly<Record<string, number>> = { s: 1, m: MINUTE, h: HOUR, d: DAY };
const NICE_INTERVALS = [
  1,
  2,
  5,
  10,
  15,
  30,
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 4, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 7].map((days) => days * DAY),
];

/** The shortest usual interval, a multiple of `leastS`, that cuts `span` into few enough parts. */
export function automaticInterval(span: Span, leastS: number): number {
  const fitting = NICE_INTERVALS.find(
    (interval) => interval % leastS === 0 && pointCount(span, interval) <= MAX_POINTS,
  );
  return fitting ?? Math.ceil((span.toS - span.fromS) / (MAX_POINTS - 1) / DAY) * DAY;
}

/** `text` as seconds, such as `60`, `5m` or `1h`; 400 when it is none, 422 when it gives too many points. */
export function givenInterval(text: string, span: Span): number {
  const [, count = '', unit = 's'] = /^(\d{1,9})(s|m|h|d)?$/.exec(text) ?? [];
  const seconds = Number(count) * (UNITS[unit] ?? 0);
  if (seconds < 1) {
    throw badRequest(`interval must be a length of time such as 60, 5m or 1h; got ${quoteValue(text)}.`);
  }
  if (seconds > MAX_INTERVAL_DAYS * DAY) {
    throw badRequest(`interval is at most ${MAX_INTERVAL_DAYS}d; got ${quoteValue(text)}.`);
  }
  const points = pointCount(span, seconds);
  if (points <= MAX_POINTS) return seconds;
  throw new MillraceError(
    'unprocessable',
    `This interval gives ${points} points; at most ${MAX_POINTS} are possible: choose a longer one.`,
  );
}

/** Starts of all intervals that the span touches, in seconds. */
export function intervalStarts({ fromS, toS }: Span, intervalS: number): number[] {
  const starts: number[] = [];
  for (let start = Math.floor(fromS / intervalS) * intervalS; start < toS; start += intervalS)
    starts.push(start);
  return starts;
}

function pointCount({ fromS, toS }: Span, intervalS: number): number {
  return Math.ceil(toS / intervalS) - Math.floor(fromS / intervalS);
}
