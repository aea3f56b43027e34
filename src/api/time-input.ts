/**
 * Times as clients write them: RFC 3339, or `now` and `now-15m`. In microseconds since the epoch (exact in a double).
 */
import { quoteValue } from '../errors.ts';
import { badParameter } from './problem.ts';

const RFC_3339 =
  /^(\d{4}-\d{2}-\d{2})[Tt ]((?:[01]\d|2[0-3]):\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;
const RELATIVE = /^now(?:([+-])(\d{1,9})(s|m|h|d|w))?$/;
const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** What a DateTime64(6) of ClickHouse can hold and compare without wrapping: 1900 to 2262. */
const MIN_US = Date.parse('1900-01-01T00:00:00Z') * 1000;
const MAX_US = Date.parse('2262-01-01T00:00:00Z') * 1000;

/** Throws `bad_request` that names the parameter. */
export function parseTime(name: string, text: string, nowMs: number): number {
  const us = parseRelative(text, nowMs) ?? parseAbsolute(text);
  if (us === undefined || !isStorable(us)) {
    throw badParameter(
      name,
      `${name} must be a time like 2026-01-31T12:00:00Z or now-15m (s, m, h, d, w); got ${quoteValue(text)}.`,
    );
  }
  return us;
}

/** A time that does not depend on the clock; undefined when `text` is none. */
export function parseRfc3339(text: string): number | undefined {
  const us = parseAbsolute(text);
  return us !== undefined && isStorable(us) ? us : undefined;
}

/** False for NaN too. */
function isStorable(us: number): boolean {
  return us >= MIN_US && us <= MAX_US;
}

function parseRelative(text: string, nowMs: number): number | undefined {
  const match = RELATIVE.exec(text);
  if (match === null) return undefined;
  const [, sign, count = '0', unit = 's'] = match;
  const seconds = Number(count) * (SECONDS[unit] ?? 0);
  return (nowMs + (sign === '-' ? -seconds : seconds) * 1000) * 1000;
}

function parseAbsolute(text: string): number | undefined {
  // In a query string an unescaped plus sign arrives as a space.
  const match = RFC_3339.exec(text.replace(/ (?=\d{2}:\d{2}$)/, '+'));
  if (match === null) return undefined;
  const [, day = '', time = '', fraction = '', zone = 'Z'] = match;
  // A day that its month does not have would be taken as one of the next month.
  const isDay = new Date(Date.parse(`${day}T00:00:00Z`) || 0).toISOString().startsWith(day);
  const ms = isDay ? Date.parse(`${day}T${time}${zone.toUpperCase()}`) : Number.NaN;
  return ms * 1000 + Number(fraction.slice(0, 6).padEnd(6, '0'));
}

/** For a DateTime64 of ClickHouse in UTC. */
export function toSqlTime(us: number): string {
  return formatTime(us).replace('T', ' ').slice(0, -1);
}

/** RFC 3339 in UTC with six fraction digits. */
export function formatTime(us: number): string {
  const ms = Math.floor(us / 1000);
  const micros = us - ms * 1000;
  return `${new Date(ms).toISOString().slice(0, -1)}${String(micros).padStart(3, '0')}Z`;
}
