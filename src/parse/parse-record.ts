/**
 * The value of one record → the fields of the open row: JSON where it begins like an object, else text.
 */
import type { EventBlock } from '../encode/event-block.ts';
import { JsonParser } from './json/parse-json.ts';
import type { ParseOutcome } from './parse-outcome.ts';
import { extractSecurityOf } from './text/extract-security-of.ts';
import { parseText } from './text/parse-text.ts';

const LEFT_BRACE = 0x7b;

/** One per block; what it says of a record holds until the next one. */
export class RecordParser {
  readonly #block: EventBlock;
  readonly #json: JsonParser;
  readonly #range = { start: 0, end: 0 };

  constructor(block: EventBlock) {
    this.#block = block;
    this.#json = new JsonParser(block);
  }

  /** Records that the fast path gave up to the slow one, since the last `reset`. */
  get slowPathCount(): number {
    return this.#json.slowPathCount;
  }

  /** Why the record could not be read. */
  get failureDetail(): string {
    return this.#json.failureDetail;
  }

  reset(): void {
    this.#json.slowPathCount = 0;
  }

  parse(bytes: Uint8Array, valueStart: number, valueEnd: number): ParseOutcome {
    let start = hasByteOrderMark(bytes, valueStart, valueEnd) ? valueStart + 3 : valueStart;
    while (start < valueEnd && isBlank(bytes[start] as number)) start++;
    if (bytes[start] !== LEFT_BRACE || start === valueEnd) {
      return parseText(bytes, valueStart, valueEnd, this.#block);
    }
    const range = this.#range;
    range.start = start;
    range.end = valueEnd;
    const outcome = this.#json.parse(bytes, range);
    if (outcome === 'event') extractSecurityOf(this.#block);
    return outcome;
  }
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

/** U+FEFF in UTF-8, which some programs put before the first line of a file. */
function hasByteOrderMark(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start >= 3 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf;
}
