/**
 * STRUCTURED-DATA of RFC 5424 section 6.3 → metadata `sdid.param`: `[origin ip="192.0.2.1" software="x"]`.
 * Values lose the backslash before `"`, `\` and `]`. A parameter given twice keeps its first value.
 */
import type { EventRow } from '../../encode/event-row.ts';
import { Byte, type Line } from './line.ts';

export class StructuredData {
  /** Key, or value without escapes; grows to the longest one seen. */
  #scratch = new Uint8Array(256);
  #keyLength = 0;

  /**
   * Reads the elements at `at`; returns the first byte behind them. Where an element is malformed it stops, and what is
   * left of it belongs to the message.
   */
  read(line: Line, at: number, row: EventRow): number {
    let end = at;
    while (line.at(end) === Byte.leftBracket) {
      const next = this.#readElement(line, end, row);
      if (next === -1) break;
      end = next;
    }
    return end;
  }

  /** Position behind the closing bracket, -1 for a malformed element. */
  #readElement(line: Line, open: number, row: EventRow): number {
    const idStart = open + 1;
    const idEnd = nameEnd(line, idStart);
    if (idEnd === idStart) return -1;
    this.#setKeyPrefix(line, idStart, idEnd);
    let at = idEnd;
    for (;;) {
      at = line.skipSpaces(at);
      if (line.at(at) === Byte.rightBracket) return at + 1;
      const equals = nameEnd(line, at);
      if (equals === at || line.at(equals) !== Byte.equals || line.at(equals + 1) !== Byte.quote) return -1;
      const valueStart = equals + 2;
      const valueEnd = line.closingQuote(valueStart);
      if (valueEnd === -1) return -1;
      this.#appendKey(line, at, equals);
      if (row.metadataKey(this.#scratch, 0, this.#keyLength + equals - at)) {
        this.#writeValue(line, row, { start: valueStart, end: valueEnd });
      }
      at = valueEnd + 1;
    }
  }

  #setKeyPrefix(line: Line, start: number, end: number): void {
    this.#keyLength = 0;
    this.#appendKey(line, start, end);
    this.#keyLength = end - start;
    this.#scratch[this.#keyLength++] = Byte.dot;
  }

  /** Puts a name behind the prefix, which stays as it is. */
  #appendKey(line: Line, start: number, end: number): void {
    this.#reserve(this.#keyLength + end - start + 1);
    for (let i = start; i < end; i++) this.#scratch[this.#keyLength + i - start] = line.bytes[i] as number;
  }

  #writeValue(line: Line, row: EventRow, range: { readonly start: number; readonly end: number }): void {
    const { start, end } = range;
    let first = start;
    while (first < end && line.bytes[first] !== Byte.backslash) first++;
    if (first === end) {
      row.metadataValue(line.bytes, start, end);
      return;
    }
    // Unescaped behind the key's prefix, which the element's next parameter needs.
    const base = this.#keyLength;
    this.#reserve(base + end - start);
    let written = base;
    for (let i = start; i < end; i++) {
      if (line.bytes[i] === Byte.backslash && i + 1 < end && isEscapable(line.at(i + 1))) i++;
      this.#scratch[written++] = line.bytes[i] as number;
    }
    row.metadataValue(this.#scratch, base, written);
  }

  #reserve(length: number): void {
    if (length <= this.#scratch.length) return;
    const grown = new Uint8Array(length * 2);
    grown.set(this.#scratch);
    this.#scratch = grown;
  }
}

/** SD-NAME: printable ASCII but `=`, space, `]` and `"`. */
function nameEnd(line: Line, from: number): number {
  let at = from;
  for (;;) {
    const byte = line.at(at);
    if (byte <= Byte.space || byte > 0x7e) return at;
    if (byte === Byte.equals || byte === Byte.rightBracket || byte === Byte.quote) return at;
    at++;
  }
}

function isEscapable(byte: number): boolean {
  return byte === Byte.quote || byte === Byte.backslash || byte === Byte.rightBracket;
}
