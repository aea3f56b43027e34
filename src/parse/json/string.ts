/**
 * JSON strings by bytes: where the plain part ends, UTF-8 checked in place, escapes decoded into a buffer.
 * What is odd (raw control characters, invalid UTF-8, lone surrogates, bad escapes) answers ODD and is
 * the slow path's business.
 */
import { focus, grownTo } from '../../encode/bytes.ts';
import type { ByteRange } from '../../encode/event-row.ts';
import { hexDigit } from '../ip.ts';
import { ODD } from './token.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LOWER_U = 0x75;

/** 1 for bytes that stand for themselves in a string: ASCII but controls, quote and backslash. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x20 && byte < 0x80 && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0,
);

const HIGH_BITS = 0x80808080;

/** High bits of the bytes of `word` that are not plain. Borrows spoil only the bytes above one that is not. */
function notPlain(word: number): number {
  const quote = word ^ 0x22222222;
  const backslash = word ^ 0x5c5c5c5c;
  return (
    (((quote - 0x01010101) & ~quote) | ((backslash - 0x01010101) & ~backslash) | (word - 0x20202020) | word) &
    HIGH_BITS
  );
}

function firstByte(highBits: number): number {
  return (31 - Math.clz32(highBits & -highBits)) >> 3;
}

/**
 * Position of the first byte from `at` on of the source in focus that is not plain, at most `end`. By words: a
 * byte's high bit comes up when it is quote, backslash, below space, or 0x80 and more.
 */
export function plainEnd(source: Uint8Array, at: number, end: number): number {
  const { view } = focus;
  let to = at;
  for (const last = end - 4; to <= last; to += 4) {
    const found = notPlain(view.getInt32(to, true));
    if (found !== 0) return to + firstByte(found);
  }
  while (to < end && PLAIN[source[to] as number] === 1) to += 1;
  return to;
}

/** Position after the UTF-8 sequence at `at`, whose first byte is 0x80 or more; ODD when it is invalid. */
function sequenceEnd(source: Uint8Array, at: number, end: number): number {
  const lead = source[at] as number;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || at + length > end) return ODD;
  const second = source[at + 1] as number;
  // The second byte's range shuts out overlong forms, surrogates and what lies past U+10FFFF.
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return ODD;
  for (let tail = at + 2; tail < at + length; tail += 1) {
    if (((source[tail] as number) & 0xc0) !== 0x80) return ODD;
  }
  return at + length;
}

/** Byte that `\` and this byte stand for, 0 when they stand for nothing; `u` is not among them. */
const SIMPLE_ESCAPES = new Uint8Array(256);
for (const [escape, character] of Object.entries({
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
})) {
  SIMPLE_ESCAPES[escape.charCodeAt(0)] = character.charCodeAt(0);
}

/** Reads strings: as a range of the source when nothing is escaped, else decoded into its own buffer. */
export class StringScanner {
  /** Bytes that hold the string read last; valid until the next one is read. */
  bytes: Uint8Array = new Uint8Array(0);
  /** Where in `bytes` it is. */
  readonly range: ByteRange = { start: 0, end: 0 };
  #buffer = new Uint8Array(4096);
  #length = 0;

  /** Reads the string whose first byte, after the quote, is at `at`; position after its closing quote, or ODD. */
  read(source: Uint8Array, at: number, end: number): number {
    let stop = plainEnd(source, at, end);
    while (stop < end && (source[stop] as number) >= 0x80) {
      const next = sequenceEnd(source, stop, end);
      if (next === ODD) return ODD;
      stop = plainEnd(source, next, end);
    }
    if (stop >= end) return ODD;
    if (source[stop] !== QUOTE) return source[stop] === BACKSLASH ? this.#decode(source, at, end) : ODD;
    this.bytes = source;
    this.range.start = at;
    this.range.end = stop;
    return stop + 1;
  }

  #decode(source: Uint8Array, at: number, end: number): number {
    // No escape is shorter than what it stands for.
    this.#buffer = grownTo(this.#buffer, end - at);
    this.#length = 0;
    let from = at;
    while (from < end) {
      const byte = source[from] as number;
      if (PLAIN[byte] === 1) {
        this.#buffer[this.#length++] = byte;
        from += 1;
      } else if (byte === QUOTE) {
        this.bytes = this.#buffer;
        this.range.start = 0;
        this.range.end = this.#length;
        return from + 1;
      } else {
        from = byte === BACKSLASH ? this.#escape(source, from + 1, end) : this.#sequence(source, from, end);
        if (from === ODD) return ODD;
      }
    }
    return ODD;
  }

  #sequence(source: Uint8Array, at: number, end: number): number {
    const to = (source[at] as number) < 0x80 ? ODD : sequenceEnd(source, at, end);
    for (let from = at; from < to; from += 1) this.#buffer[this.#length++] = source[from] as number;
    return to;
  }

  /** `at` is the byte after the backslash. */
  #escape(source: Uint8Array, at: number, end: number): number {
    if (at >= end) return ODD;
    const escape = source[at] as number;
    const simple = SIMPLE_ESCAPES[escape] as number;
    if (simple !== 0) {
      this.#buffer[this.#length++] = simple;
      return at + 1;
    }
    const unit = escape === LOWER_U ? hexUnit(source, at + 1, end) : ODD;
    if (unit === ODD) return ODD;
    if (unit < 0xd800 || unit > 0xdfff) {
      this.#codePoint(unit);
      return at + 5;
    }
    // A surrogate counts only as the first half of a pair of escapes.
    if (unit > 0xdbff || source[at + 5] !== BACKSLASH || source[at + 6] !== LOWER_U) return ODD;
    const second = hexUnit(source, at + 7, end);
    if (second < 0xdc00 || second > 0xdfff) return ODD;
    this.#codePoint(0x1_0000 + ((unit - 0xd800) << 10) + second - 0xdc00);
    return at + 11;
  }

  #codePoint(point: number): void {
    const bytes = this.#buffer;
    let at = this.#length;
    if (point < 0x80) {
      bytes[at++] = point;
    } else {
      if (point < 0x800) {
        bytes[at++] = 0xc0 | (point >> 6);
      } else {
        if (point < 0x1_0000) {
          bytes[at++] = 0xe0 | (point >> 12);
        } else {
          bytes[at++] = 0xf0 | (point >> 18);
          bytes[at++] = 0x80 | ((point >> 12) & 0x3f);
        }
        bytes[at++] = 0x80 | ((point >> 6) & 0x3f);
      }
      bytes[at++] = 0x80 | (point & 0x3f);
    }
    this.#length = at;
  }
}

/** Value of the four hexadecimal digits at `at`, or ODD. */
function hexUnit(source: Uint8Array, at: number, end: number): number {
  if (at + 4 > end) return ODD;
  let unit = 0;
  for (let digit = at; digit < at + 4; digit += 1) {
    const value = hexDigit(source[digit] as number);
    if (value < 0) return ODD;
    unit = (unit << 4) | value;
  }
  return unit;
}
