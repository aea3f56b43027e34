/**
 * Checks UTF-8 and replaces what is invalid by U+FFFD, one for each maximal part of a broken sequence
 * (Unicode 16, section 3.9, as browsers do), so that stored text is always valid.
 */

/** Position of the first byte that is not valid UTF-8, -1 when all of bytes[start, end) is. */
export function invalidUtf8At(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  // Most lines are ASCII: eight bytes a step.
  for (const last = end - 8; at <= last; at += 8) {
    const bits =
      (bytes[at] as number) |
      (bytes[at + 1] as number) |
      (bytes[at + 2] as number) |
      (bytes[at + 3] as number) |
      (bytes[at + 4] as number) |
      (bytes[at + 5] as number) |
      (bytes[at + 6] as number) |
      (bytes[at + 7] as number);
    if (bits >= 0x80) break;
  }
  while (at < end) {
    const length = sequenceLength(bytes, at, end);
    if (length < 0) return at;
    at += length;
  }
  return -1;
}

/** Bytes that the repair of `length` bytes can need. */
export function repairedBytesMax(length: number): number {
  return length * 3;
}

/** Writes the repaired text of source[range) to the start of `target`; returns its length. */
export function repairUtf8(
  source: Uint8Array,
  range: { readonly start: number; readonly end: number },
  target: Uint8Array,
): number {
  let written = 0;
  let at = range.start;
  while (at < range.end) {
    const length = sequenceLength(source, at, range.end);
    if (length < 0) {
      target[written] = 0xef;
      target[written + 1] = 0xbf;
      target[written + 2] = 0xbd;
      written += 3;
      at -= length;
      continue;
    }
    for (const next = at + length; at < next; at++) target[written++] = source[at] as number;
  }
  return written;
}

/** Length of the sequence at `at`; negative: so many bytes are invalid and belong together. */
function sequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at] as number;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return -1;
  const following = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  // Bounds of the second byte leave out overlong forms, surrogates and what is past U+10FFFF.
  let low = 0x80;
  let high = 0xbf;
  if (lead === 0xe0) low = 0xa0;
  else if (lead === 0xed) high = 0x9f;
  else if (lead === 0xf0) low = 0x90;
  else if (lead === 0xf4) high = 0x8f;
  for (let i = 1; i <= following; i++) {
    const byte = at + i < end ? (bytes[at + i] as number) : 0;
    if (byte < low || byte > high) return -i;
    low = 0x80;
    high = 0xbf;
  }
  return following + 1;
}
