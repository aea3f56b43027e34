/** Small parts of JSON's grammar by bytes (RFC 8259), for the fast path. */

/** A value that the fast path does not read. */
export const ODD = -1;

const SPACE = 0x20;
const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Position of the first byte from `at` on that is not JSON's white space, at most `end`. */
export function skipSpace(source: Uint8Array, at: number, end: number): number {
  let to = at;
  while (to < end) {
    const byte = source[to] as number;
    if (byte !== SPACE && byte !== LINE_FEED && byte !== CARRIAGE_RETURN && byte !== TAB) break;
    to += 1;
  }
  return to;
}

const LITERALS = ['true', 'false', 'null'].map((text) => new TextEncoder().encode(text));

/** Position after `true`, `false` or `null` at `at`, ODD when it is none of them. */
export function literalEnd(source: Uint8Array, at: number, end: number): number {
  for (const literal of LITERALS) {
    if (literal[0] !== source[at]) continue;
    if (at + literal.length > end) return ODD;
    for (let index = 1; index < literal.length; index += 1) {
      if (source[at + index] !== literal[index]) return ODD;
    }
    return at + literal.length;
  }
  return ODD;
}
