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
  if (length <= IPV4_MAX_BYTES && parseQuad(source, range, target)) {
    for (let at = 0; at < 10; at += 1) target[at] = 0;
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
  const hasLeadingGap = source[range.start] === COLON;
  if (hasLeadingGap && source[range.start + 1] !== COLON) return false;
  let from = hasLeadingGap ? range.start + 2 : range.start;
  let to = 0;
  let gapAt = hasLeadingGap ? 0 : -1;
  while (from < end) {
    const groupEnd = hexEnd(source, from, end);
    if (byteAt(source, groupEnd, end) === DOT) {
      return placeQuad(source, { start: from, end }, target, to) && closeGap(target, to + 4, gapAt);
    }
    const group = hexGroup(source, from, groupEnd);
    if (group < 0 || to > 14) return false;
    target[to++] = group >>> 8;
    target[to++] = group;
    if (groupEnd === end) break;
    // A colon, and what follows it: another one once, or a group.
    from = groupEnd + 1;
    if (source[groupEnd] !== COLON || from === end) return false;
    if (source[from] !== COLON) continue;
    if (gapAt >= 0) return false;
    gapAt = to;
    from += 1;
  }
  return closeGap(target, to, gapAt);
}

function byteAt(source: Uint8Array, at: number, end: number): number {
  return at < end ? (source[at] as number) : -1;
}

/** A dotted quad at `to`. */
// oxlint-disable-next-line max-params -- one step of the function above
function placeQuad(source: Uint8Array, range: ByteRange, target: Uint8Array, to: number): boolean {
  if (to > 12 || !parseQuad(source, range, target)) return false;
  if (to === 12) return true;
  target.copyWithin(to, 12, 16);
  target.fill(0, Math.max(12, to + 4), 16);
  return true;
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

/** Value of one to four hexadecimal digits, -1 for fewer or more. */
function hexGroup(source: Uint8Array, start: number, end: number): number {
  if (start === end || end - start > 4) return -1;
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
