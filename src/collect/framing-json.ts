/**
 * Finds the records of a JSON body without building a value: top-level values one after the other,
 * where an array stands for its elements. Only the frame is checked here, that is commas and brackets of the arrays;
 * what an element holds is for the parser, which dead-letters what it cannot read.
 */
import type { BodyBatches } from './body-batches.ts';
import type { BodySpan } from './body-span.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * Appends each record to the batches. Gives undefined, or what is wrong with an array: then nothing of the body
 * may be used. A top-level value that is cut short is one record up to the end of the body.
 */
export function appendJson(body: BodySpan, batches: BodyBatches): string | undefined {
  const { bytes, end } = body;
  let at = skipSpace(bytes, body.start, end);
  while (at < end) {
    if (bytes[at] === OPEN_BRACKET) {
      const walk = { bytes, at: at + 1, end };
      const problem = appendElements(walk, batches);
      if (problem !== undefined) return `${problem} at byte ${walk.at - body.start}`;
      at = walk.at;
    } else {
      const valueEnd = Math.max(endOfValue(bytes, at, end), at + 1);
      batches.append(bytes, at, Math.min(valueEnd, end));
      at = valueEnd;
    }
    at = skipSpace(bytes, at, end);
  }
  return undefined;
}

interface ArrayWalk {
  readonly bytes: Uint8Array;
  /** Moves; where a problem is met it stays there. */
  at: number;
  readonly end: number;
}

/** Elements behind an opening bracket, up to and including the closing one. */
function appendElements(walk: ArrayWalk, batches: BodyBatches): string | undefined {
  const { bytes, end } = walk;
  walk.at = skipSpace(bytes, walk.at, end);
  if (bytes[walk.at] === CLOSE_BRACKET && walk.at < end) {
    walk.at += 1;
    return undefined;
  }
  for (;;) {
    const start = walk.at;
    const valueEnd = endOfValue(bytes, start, end);
    if (valueEnd > end) return 'an element of the array is not closed';
    if (valueEnd === start) return start < end ? 'an element of the array is missing' : UNCLOSED_ARRAY;
    batches.append(bytes, start, valueEnd);
    walk.at = skipSpace(bytes, valueEnd, end);
    if (walk.at >= end) return UNCLOSED_ARRAY;
    const separator = bytes[walk.at];
    if (separator !== COMMA && separator !== CLOSE_BRACKET)
      return 'a comma is missing between elements of the array';
    walk.at += 1;
    if (separator === CLOSE_BRACKET) return undefined;
    walk.at = skipSpace(bytes, walk.at, end);
  }
}

const UNCLOSED_ARRAY = 'the array is not closed';

/** End of the value at `start`: `start` itself when none begins there, above `end` when it is not closed. */
function endOfValue(bytes: Uint8Array, start: number, end: number): number {
  const first = bytes[start];
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return endOfNested(bytes, start, end);
  if (first === QUOTE) return endOfString(bytes, start, end);
  let at = start;
  while (at < end && !isDelimiter(bytes[at] ?? 0)) at++;
  return at;
}

/** Brackets are counted, not matched by kind; a body may nest as deep as it likes. */
function endOfNested(bytes: Uint8Array, start: number, end: number): number {
  let depth = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = endOfString(bytes, at, end) - 1;
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth += 1;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return end + 1;
}

/** Behind the closing quote of the string that opens at `start`; above `end` when there is none. */
function endOfString(bytes: Uint8Array, start: number, end: number): number {
  let at = start + 1;
  while (at < end) {
    const byte = bytes[at];
    if (byte === QUOTE) return at + 1;
    at += byte === BACKSLASH ? 2 : 1;
  }
  return end + 1;
}

function skipSpace(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && isSpace(bytes[at] ?? 0)) at++;
  return at;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

/** What ends a number or a word. */
function isDelimiter(byte: number): boolean {
  switch (byte) {
    case COMMA:
    case QUOTE:
    case OPEN_BRACKET:
    case CLOSE_BRACKET:
    case OPEN_BRACE:
    case CLOSE_BRACE:
      return true;
    default:
      return isSpace(byte);
  }
}
