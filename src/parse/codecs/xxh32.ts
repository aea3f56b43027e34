/**
 * xxHash32 of short inputs (below 16 bytes), which is all that LZ4 frame headers need.
 * Source: xxHash specification, "XXH32 algorithm description", the small-input path.
 */

const PRIME_1 = 0x9e3779b1;
const PRIME_2 = 0x85ebca77;
const PRIME_3 = 0xc2b2ae3d;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;

/** Hash with seed 0 of `bytes[start, end)`, fewer than 16 bytes, as an unsigned 32-bit number. */
export function xxh32OfShort(bytes: Uint8Array, start: number, end: number): number {
  let hash = (PRIME_5 + (end - start)) | 0;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word =
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24);
    hash = Math.imul(rotateLeft((hash + Math.imul(word, PRIME_3)) | 0, 17), PRIME_4);
  }
  for (; at < end; at++) {
    hash = Math.imul(rotateLeft((hash + Math.imul(bytes[at] ?? 0, PRIME_5)) | 0, 11), PRIME_1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
