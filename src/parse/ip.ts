/**
 * IPv4 and IPv6 addresses in text form (RFC 4291 section 2.2, RFC 6943 section 3.1.1 for strict dotted quads).
 * No zone ids, ports or brackets: who meets those cuts them off.
 */
import type { ByteRange } from '../encode/event-row.ts';

const DOT = 0x2e;
const COLON = 0x3a;
const IPV4_MAX_BYTES = 15;
const IPV6_MAX_BYTES = 45;

/**
 * Parses all of `source[range)` into `target`, 16 bytes in network order, IPv4 as ::ffff:a.b.c.d.
 * False when the bytes are not an address; `target` then holds anything.
 */
export function parseIp(source: Uint8Array, range: ByteRange, target: Uint8Array): boolean {
  const { start, end } = range;
  const length = end - start;
  if (length < 2 || length > IPV6_MAX_BYTES) return false;
  target.fill(0);
  if (length <= IPV4_MAX_BYTES && parseQuad(source, range, target)) {
    target[10] = 0xff;
    target[11] = 0xff;
    return true;
  }
  return parseGroups(source, range, target);
}

/** Dotted quad into target[12…15]; no leading zeros, which some read as octal. */
function parseQuad(source: Uint8Array, range: ByteRange, target: Uint8Array): boolean {
  let part = 0;
  let digits = 0;
  let at = 12;
  for (let from = range.start; from < range.end; from += 1) {
    const byte = source[from] as number;
    if (byte === DOT) {
      if (digits === 0 || at === 15) return false;
      target[at++] = part;
      part = 0;
      digits = 0;
      continue;
    }
    const digit = byte - 0x30;
    if (digit < 0 || digit > 9 || (digits > 0 && part === 0)) return false;
    part = part * 10 + digit;
    digits += 1;
    if (part > 255) return false;
  }
  if (digits === 0 || at !== 15) return false;
  target[15] = part;
  return true;
}

/** Groups of hexadecimal digits, at most one `::`, a dotted quad allowed as the last 32 bits. */
function parseGroups(source: Uint8Array, range: ByteRange, target: Uint8Array): boolean {
  target.fill(0);
  const { end } = range;
  let from = range.start;
  let to = 0;
  let gapAt = -1;
  if (source[from] === COLON) {
    if (source[from + 1] !== COLON) return false;
    gapAt = 0;
    from += 2;
  }
  while (from < end) {
    if (to > 14) return false;
    const groupEnd = hexEnd(source, from, end);
    if (source[groupEnd] === DOT && groupEnd < end) {
      if (to > 12 || !parseQuad(source, { start: from, end }, target)) return false;
      if (to !== 12) moveQuad(target, to);
      return closeGap(target, to + 4, gapAt);
    }
    if (groupEnd === from || groupEnd - from > 4) return false;
    const group = hexValue(source, from, groupEnd);
    target[to++] = group >>> 8;
    target[to++] = group;
    from = groupEnd;
    if (from === end) break;
    if (source[from] !== COLON) return false;
    from += 1;
    if (from === end) return false;
    if (source[from] === COLON) {
      if (gapAt >= 0) return false;
      gapAt = to;
      from += 1;
    }
  }
  return closeGap(target, to, gapAt);
}

function moveQuad(target: Uint8Array, to: number): void {
  target.copyWithin(to, 12, 16);
  target.fill(0, Math.max(12, to + 4), 16);
}

/** Moves what follows the `::` to the end. `filled` bytes are set. */
function closeGap(target: Uint8Array, filled: number, gapAt: number): boolean {
  if (gapAt < 0) return filled === 16;
  if (filled > 14) return false;
  const tailBytes = filled - gapAt;
  target.copyWithin(16 - tailBytes, gapAt, filled);
  target.fill(0, gapAt, 16 - tailBytes);
  return true;
}

function hexEnd(source: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && hexDigit(source[at] as number) >= 0) at += 1;
  return at;
}

function hexValue(source: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at += 1) value = (value << 4) | hexDigit(source[at] as number);
  return value;
}

/** Value of a hexadecimal digit, -1 for any other byte. */
export function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
