/**
 * JSON numbers by bytes: where one ends, and its value as a double or as 64 unsigned bits.
 * Strings that hold a number go through the same functions, so `"42"` and `42` read alike.
 */
import type { ByteRange } from '../../encode/event-row.ts';

const ZERO = 0x30;
const NINE = 0x39;
const DASH = 0x2d;
const PLUS = 0x2b;
const DOT = 0x2e;
const LOWER_E = 0x65;
const TWO_32 = 0x1_0000_0000;
const MAX_UINT64 = (1n << 64n) - 1n;
/** Digits that a double holds exactly, whatever they are. */
const EXACT_DIGITS = 15;
/** More than any program writes for a double. */
const MAX_NUMBER_BYTES = 400;
const POWERS = Array.from({ length: EXACT_DIGITS + 1 }, (_, power) => 10 ** power);

/** Position after the JSON number at `at` (RFC 8259 section 6), -1 when there is none. */
export function numberEnd(source: Uint8Array, start: number, end: number): number {
  let at = start < end && source[start] === DASH ? start + 1 : start;
  if (at >= end) return -1;
  if (source[at] === ZERO) {
    at += 1;
  } else {
    const digits = digitsEnd(source, at, end);
    if (digits === at) return -1;
    at = digits;
  }
  if (at < end && source[at] === DOT) {
    const digits = digitsEnd(source, at + 1, end);
    if (digits === at + 1) return -1;
    at = digits;
  }
  if (at < end && ((source[at] as number) | 0x20) === LOWER_E) {
    at += 1;
    if (at < end && (source[at] === PLUS || source[at] === DASH)) at += 1;
    const digits = digitsEnd(source, at, end);
    if (digits === at) return -1;
    at = digits;
  }
  return at;
}

function digitsEnd(source: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && (source[at] as number) >= ZERO && (source[at] as number) <= NINE) at += 1;
  return at;
}

/** The digits of `range` as a whole number of at most fifteen digits; -1 when they are anything else. */
export function parseWhole(source: Uint8Array, range: ByteRange): number {
  const { start, end } = range;
  if (start === end || end - start > EXACT_DIGITS) return -1;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const digit = (source[at] as number) - ZERO;
    if (digit >>> 0 > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** The number in `range`, correctly rounded; NaN when it is not one or not finite. */
export function parseDecimal(source: Uint8Array, range: ByteRange): number {
  const { start, end } = range;
  if (end - start > MAX_NUMBER_BYTES || numberEnd(source, start, end) !== end) return NaN;
  const isNegative = source[start] === DASH;
  let mantissa = 0;
  let digits = 0;
  let point = -1;
  for (let at = isNegative ? start + 1 : start; at < end; at += 1) {
    const byte = source[at] as number;
    if (byte === DOT) {
      point = at;
      continue;
    }
    digits += 1;
    if (digits > EXACT_DIGITS || byte > NINE) return finite(Number(asciiText(source, start, end)));
    mantissa = mantissa * 10 + byte - ZERO;
  }
  // Both parts are exact doubles, so their quotient is the nearest one.
  const value = point < 0 ? mantissa : mantissa / (POWERS[end - point - 1] as number);
  return isNegative ? -value : value;
}

/** The halves of the number that `parseUint64` read last. */
export const wide = { low: 0, high: 0 };

/** Reads a number in [0, 2^64) into `wide`, a fraction rounded; false when it is not such a number. */
export function parseUint64(source: Uint8Array, range: ByteRange): boolean {
  const whole = parseWhole(source, range);
  if (whole >= 0) {
    wide.high = Math.floor(whole / TWO_32);
    wide.low = whole - wide.high * TWO_32;
    return true;
  }
  const { start, end } = range;
  if (digitsEnd(source, start, end) !== end || end - start > 20 || start === end) {
    return roundUint64(parseDecimal(source, range));
  }
  const exact = BigInt(asciiText(source, start, end));
  if (exact > MAX_UINT64) return false;
  wide.high = Number(exact >> 32n);
  wide.low = Number(exact & 0xffff_ffffn);
  return true;
}

function roundUint64(value: number): boolean {
  const rounded = Math.round(value);
  if (!(rounded >= 0 && rounded < 2 ** 64)) return false;
  wide.high = Math.floor(rounded / TWO_32);
  wide.low = rounded - wide.high * TWO_32;
  return true;
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : NaN;
}

/** ASCII bytes as a string; only for numbers too long for the arithmetic above. */
function asciiText(source: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at += 1) text += String.fromCharCode(source[at] as number);
  return text;
}
