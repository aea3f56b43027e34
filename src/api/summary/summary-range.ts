/**
 * Range and interval of a summary. The rollups hold minutes and hours, so the range is widened to whole ones.
 */
import { MillraceError, quoteValue } from '../../errors.ts';
import { badRequest } from '../problem.ts';
import { single } from '../query-params.ts';
import { parseTime } from '../time-input.ts';

/** In seconds since the epoch, `toS` exclusive. */
export interface SummaryRange {
  readonly fromS: number;
  readonly toS: number;
  readonly intervalS: number;
  /** Suffix of the rollup tables. */
  readonly rollup: '1m' | '1h';
}

const MAX_POINTS = 300;
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;
const NICE_INTERVALS = [
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  4 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
];
/** Minutes are kept for 40 days; a summary that starts earlier uses hours. */
const MINUTES_KEPT_S = 39 * DAY;
/** Below this span minutes are read even where the interval is hours: the ends are then exact. */
const FINE_SPAN_S = 2 * DAY;
const MAX_S = 4_102_444_800;

export function readSummaryRange(query: URLSearchParams, nowMs: number): SummaryRange {
  const fromS = parseTime('from', single(query, 'from') ?? 'now-1h', nowMs) / 1e6;
  const toS = parseTime('to', single(query, 'to') ?? 'now', nowMs) / 1e6;
  if (fromS >= toS) throw badRequest('from must be earlier than to.');
  if (fromS < 0 || toS > MAX_S) throw badRequest('A summary lies between 1970 and 2100.');
  const isOld = fromS < nowMs / 1000 - MINUTES_KEPT_S;
  const intervalS = chooseInterval(single(query, 'interval'), { fromS, toS }, isOld ? HOUR : MINUTE);
  const rollup = intervalS % HOUR === 0 && (isOld || toS - fromS > FINE_SPAN_S) ? '1h' : '1m';
  const resolutionS = rollup === '1h' ? HOUR : MINUTE;
  return {
    fromS: Math.floor(fromS / resolutionS) * resolutionS,
    toS: Math.ceil(toS / resolutionS) * resolutionS,
    intervalS,
    rollup,
  };
}

/** Starts of all intervals that the range touches, in seconds. */
export function intervalsOf({ fromS, toS, intervalS }: SummaryRange): number[] {
  const starts: number[] = [];
  for (let start = Math.floor(fromS / intervalS) * intervalS; start < toS; start += intervalS)
    starts.push(start);
  return starts;
}

type Span = Pick<SummaryRange, 'fromS' | 'toS'>;

function chooseInterval(text: string | undefined, span: Span, leastS: number): number {
  if (text === undefined) {
    const fitting = NICE_INTERVALS.find(
      (interval) => interval >= leastS && pointCount(span, interval) <= MAX_POINTS,
    );
    return fitting ?? Math.ceil((span.toS - span.fromS) / (MAX_POINTS - 1) / DAY) * DAY;
  }
  const intervalS = parseInterval(text);
  if (intervalS % leastS !== 0) {
    throw new MillraceError(
      'unprocessable',
      `So far back only whole hours are kept: interval must be a multiple of 1h; got ${quoteValue(text)}.`,
    );
  }
  const count = pointCount(span, intervalS);
  if (count > MAX_POINTS) {
    throw new MillraceError(
      'unprocessable',
      `This interval gives ${count} points; at most ${MAX_POINTS} are possible: choose a longer one.`,
    );
  }
  return intervalS;
}

function parseInterval(text: string): number {
  const [, count = '', unit = 's'] = /^(\d{1,9})(s|m|h|d)?$/.exec(text) ?? [];
  const seconds = Number(count) * { s: 1, m: MINUTE, h: HOUR, d: DAY }[unit as 's' | 'm' | 'h' | 'd'];
  if (seconds >= MINUTE && seconds % MINUTE === 0) return seconds;
  throw badRequest(`interval must be whole minutes, such as 60, 5m or 1h; got ${quoteValue(text)}.`);
}

function pointCount({ fromS, toS }: Span, intervalS: number): number {
  return Math.ceil(toS / intervalS) - Math.floor(fromS / intervalS);
}
