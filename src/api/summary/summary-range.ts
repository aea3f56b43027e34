/**
 * Range and interval of a summary. The rollups hold minutes and hours, so the range is widened to whole ones.
 */
import { MillraceError, quoteValue } from '../../errors.ts';
import {
  automaticInterval,
  DAY,
  givenInterval,
  HOUR,
  intervalStarts,
  MINUTE,
  type Span,
} from '../intervals.ts';
import { badRequest } from '../problem.ts';
import { single } from '../query-params.ts';
import { parseTime } from '../time-input.ts';

export interface SummaryRange extends Span {
  readonly intervalS: number;
  /** Suffix of the rollup tables. */
  readonly rollup: '1m' | '1h';
}

/** Minutes are kept for 40 days; a summary that starts earlier uses hours. */
const MINUTES_KEPT_S = 39 * DAY;
/** Below this span minutes are read even where the interval is hours: the ends are then exact. */
const FINE_SPAN_S = 2 * DAY;
const MAX_S = 4_102_444_800;

export function readSummaryRange(query: URLSearchParams, nowMs: number): SummaryRange {
  const { fromS, toS } = readSpan(query, nowMs);
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

/** `from` and `to`, the last hour where they are absent. */
export function readSpan(query: URLSearchParams, nowMs: number): Span {
  const fromS = parseTime('from', single(query, 'from') ?? 'now-1h', nowMs) / 1e6;
  const toS = parseTime('to', single(query, 'to') ?? 'now', nowMs) / 1e6;
  if (fromS >= toS) throw badRequest('from must be earlier than to.');
  if (fromS < 0 || toS > MAX_S) throw badRequest('The range must lie between 1970 and 2100.');
  return { fromS, toS };
}

export function toRangeUs({ fromS, toS }: Span) {
  return { fromUs: Math.round(fromS * 1e6), toUs: Math.round(toS * 1e6) };
}

/** Starts of all intervals that the range touches, in seconds. */
export function intervalsOf(range: SummaryRange): number[] {
  return intervalStarts(range, range.intervalS);
}

function chooseInterval(text: string | undefined, span: Span, leastS: number): number {
  if (text === undefined) return automaticInterval(span, leastS);
  const intervalS = givenInterval(text, span);
  if (intervalS % MINUTE !== 0) {
    throw badRequest(`interval must be whole minutes, such as 60, 5m or 1h; got ${quoteValue(text)}.`);
  }
  if (intervalS % leastS !== 0) {
    throw new MillraceError(
      'unprocessable',
      `So far back only whole hours are kept: interval must be a multiple of 1h; got ${quoteValue(text)}.`,
    );
  }
  return intervalS;
}
