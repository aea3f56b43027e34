/**
 * Range of bytes under examination, with the few searches that the text parsers need.
 * One long-lived object per parser, pointed at a line by `reset`; it owns nothing and is valid until the next one.
 * Every search stays inside [start, end) and answers -1 when it finds nothing.
 */

const NO_BYTES = new Uint8Array(0);

export const Byte = {
  tab: 0x09,
  lineFeed: 0x0a,
  carriageReturn: 0x0d,
  space: 0x20,
  quote: 0x22,
  percent: 0x25,
  apostrophe: 0x27,
  leftParen: 0x28,
  rightParen: 0x29,
  asterisk: 0x2a,
  plus: 0x2b,
  comma: 0x2c,
  dash: 0x2d,
  dot: 0x2e,
  slash: 0x2f,
  zero: 0x30,
  nine: 0x39,
  colon: 0x3a,
  semicolon: 0x3b,
  less: 0x3c,
  equals: 0x3d,
  greater: 0x3e,
  leftBracket: 0x5b,
  backslash: 0x5c,
  rightBracket: 0x5d,
  underscore: 0x5f,
  backquote: 0x60,
} as const;

/** Bytes of an ASCII constant. For module level only. */
export function word(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= Byte.zero && byte <= Byte.nine;
}

export class Line {
  bytes: Uint8Array = NO_BYTES;
  start = 0;
  end = 0;

  reset(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  /** Whether `text` stands at `at`. */
  has(at: number, text: Uint8Array): boolean {
    const length = text.length;
    if (at < this.start || at + length > this.end) return false;
    const bytes = this.bytes;
    for (let i = 0; i < length; i++) if (bytes[at + i] !== text[i]) return false;
    return true;
  }

  /** Whether [start, end) is exactly `text`. */
  is(start: number, end: number, text: Uint8Array): boolean {
    return end - start === text.length && this.has(start, text);
  }

  /** Byte at `at`, -1 outside the line. */
  at(at: number): number {
    return at >= this.start && at < this.end ? (this.bytes[at] ?? -1) : -1;
  }

  find(byte: number, from: number): number {
    const { bytes, end } = this;
    for (let i = from; i < end; i++) if (bytes[i] === byte) return i;
    return -1;
  }

  /** Last `byte` before `before`. */
  findLast(byte: number, before: number): number {
    const { bytes, start } = this;
    for (let i = before - 1; i >= start; i--) if (bytes[i] === byte) return i;
    return -1;
  }

  findWord(text: Uint8Array, from: number): number {
    const bytes = this.bytes;
    const first = text[0];
    const last = this.end - text.length;
    for (let i = from; i <= last; i++) if (bytes[i] === first && this.has(i, text)) return i;
    return -1;
  }

  /** Last `text` that starts at or behind `from`. */
  findLastWord(text: Uint8Array, from: number): number {
    const bytes = this.bytes;
    const first = text[0];
    for (let i = this.end - text.length; i >= from; i--) {
      if (bytes[i] === first && this.has(i, text)) return i;
    }
    return -1;
  }

  /** The next quote that no backslash escapes. */
  closingQuote(from: number): number {
    const bytes = this.bytes;
    for (let quote = this.find(Byte.quote, from); quote !== -1; quote = this.find(Byte.quote, quote + 1)) {
      let before = quote;
      while (before > from && bytes[before - 1] === Byte.backslash) before--;
      if (((quote - before) & 1) === 0) return quote;
    }
    return -1;
  }

  /** End of the token at `from`: the next space, or the end of the line. */
  tokenEnd(from: number): number {
    const { bytes, end } = this;
    let i = from;
    while (i < end && bytes[i] !== Byte.space) i++;
    return i;
  }

  skipSpaces(from: number): number {
    const { bytes, end } = this;
    let i = from;
    while (i < end && bytes[i] === Byte.space) i++;
    return i;
  }

  /** End of the digits at `from`; `from` itself when there are none. */
  digitsEnd(from: number): number {
    const { bytes, end } = this;
    let i = from;
    while (i < end && isDigit(bytes[i])) i++;
    return i;
  }

  /** Leaves out blanks and line ends at the end. */
  trimEnd(): void {
    const bytes = this.bytes;
    while (this.end > this.start) {
      const byte = bytes[this.end - 1];
      if (byte !== Byte.space && byte !== Byte.lineFeed && byte !== Byte.carriageReturn) return;
      this.end--;
    }
  }

  /** The digits [start, end) as a number; -1 when empty, longer than ten digits or anything but digits. */
  uint(start: number, end: number): number {
    if (end <= start || end - start > 10) return -1;
    const bytes = this.bytes;
    let value = 0;
    for (let i = start; i < end; i++) {
      const digit = (bytes[i] ?? 0) - Byte.zero;
      if (digit < 0 || digit > 9) return -1;
      value = value * 10 + digit;
    }
    return value;
  }
}
