/**
 * Arrays on the fast path: those of scalars become their compact text, `threats` becomes threats.
 */
import { grownTo } from '../../encode/bytes.ts';
import type { EventBlock } from '../../encode/event-block.ts';
import type { ByteRange } from '../../encode/event-row.ts';
import { numberEnd } from './number.ts';
import { plainEnd, type StringScanner } from './string.ts';
import { ThreatPart, ThreatWriter, threatPartOf } from './threat-writer.ts';
import { literalEnd, ODD, skipSpace } from './token.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

export class ArrayScanner {
  /** Bytes that hold the text made last, valid until the next. */
  bytes: Uint8Array = new Uint8Array(0);
  readonly range: ByteRange = { start: 0, end: 0 };
  readonly #strings: StringScanner;
  readonly #threats: ThreatWriter;
  #buffer = new Uint8Array(1024);

  constructor(block: EventBlock, strings: StringScanner) {
    this.#strings = strings;
    this.#threats = new ThreatWriter(block);
  }

  /** Makes the array of plain strings, numbers and literals at `at` into its text without white space. */
  compact(source: Uint8Array, at: number, end: number): number {
    this.#buffer = grownTo(this.#buffer, end - at);
    const buffer = this.#buffer;
    let length = 0;
    buffer[length++] = OPEN_BRACKET;
    let from = skipSpace(source, at + 1, end);
    if (source[from] !== CLOSE_BRACKET) {
      for (;;) {
        const to = scalarEnd(source, from, end);
        if (to === ODD) return ODD;
        for (; from < to; from += 1) buffer[length++] = source[from] as number;
        from = skipSpace(source, to, end);
        if (source[from] !== COMMA) break;
        buffer[length++] = COMMA;
        from = skipSpace(source, from + 1, end);
      }
    }
    if (from >= end || source[from] !== CLOSE_BRACKET) return ODD;
    buffer[length++] = CLOSE_BRACKET;
    this.bytes = buffer;
    this.range.start = 0;
    this.range.end = length;
    return from + 1;
  }

  /** Adds the objects with string members `name`, `severity` and string array `tags` at `at` as threats. */
  threats(source: Uint8Array, at: number, end: number): number {
    let from = skipSpace(source, at + 1, end);
    if (source[from] !== CLOSE_BRACKET) {
      for (;;) {
        from = source[from] === OPEN_BRACE ? this.#threat(source, from, end) : ODD;
        if (from === ODD) return ODD;
        from = skipSpace(source, from, end);
        if (source[from] !== COMMA) break;
        from = skipSpace(source, from + 1, end);
      }
    }
    return from < end && source[from] === CLOSE_BRACKET ? from + 1 : ODD;
  }

  #threat(source: Uint8Array, at: number, end: number): number {
    this.#threats.begin();
    let seen = 0;
    let from = skipSpace(source, at + 1, end);
    for (;;) {
      if (source[from] !== QUOTE) return ODD;
      const keyEnd = plainEnd(source, from + 1, end);
      if (keyEnd >= end || source[keyEnd] !== QUOTE) return ODD;
      const part = threatPartOf(source, from + 1, keyEnd);
      if (part === 0 || (seen & part) !== 0) return ODD;
      seen |= part;
      from = skipSpace(source, keyEnd + 1, end);
      if (source[from] !== COLON) return ODD;
      from = skipSpace(source, from + 1, end);
      from = part === ThreatPart.tags ? this.#tags(source, from, end) : this.#label(source, from, end, part);
      if (from === ODD) return ODD;
      from = skipSpace(source, from, end);
      if (from >= end) return ODD;
      if (source[from] === CLOSE_BRACE) return from + 1;
      if (source[from] !== COMMA) return ODD;
      from = skipSpace(source, from + 1, end);
    }
  }

  /** The string at `at` as the threat's name or severity. */
  // oxlint-disable-next-line max-params -- kernel, bench/parse-json.ts
  #label(source: Uint8Array, at: number, end: number, part: number): number {
    const strings = this.#strings;
    if (source[at] !== QUOTE) return ODD;
    const after = strings.read(source, at + 1, end);
    if (after === ODD) return ODD;
    if (part === ThreatPart.name) this.#threats.name(strings.bytes, strings.range);
    else this.#threats.severity(strings.bytes, strings.range);
    return after;
  }

  #tags(source: Uint8Array, at: number, end: number): number {
    if (source[at] !== OPEN_BRACKET) return ODD;
    let from = skipSpace(source, at + 1, end);
    if (source[from] === CLOSE_BRACKET) return from + 1;
    for (;;) {
      if (source[from] !== QUOTE) return ODD;
      from = this.#strings.read(source, from + 1, end);
      if (from === ODD) return ODD;
      this.#threats.tag(this.#strings.bytes, this.#strings.range);
      from = skipSpace(source, from, end);
      if (source[from] === CLOSE_BRACKET) return from + 1;
      if (source[from] !== COMMA) return ODD;
      from = skipSpace(source, from + 1, end);
    }
  }
}

/** Position after the plain string, number or literal at `at`, ODD for anything else. */
function scalarEnd(source: Uint8Array, at: number, end: number): number {
  const byte = source[at] as number;
  if (byte === QUOTE) {
    const close = plainEnd(source, at + 1, end);
    return close < end && source[close] === QUOTE ? close + 1 : ODD;
  }
  const after = literalEnd(source, at, end);
  return after === ODD ? numberEnd(source, at, end) : after;
}
