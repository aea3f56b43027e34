/**
 * The 32-bit MurmurHash2 that Kafka's Java client partitions keys with, so that a key goes to the same partition
 * whoever produces it. Source: org.apache.kafka.common.utils.Utils.murmur2; A. Appleby, MurmurHash2.
 */

const MIX = 0x5bd1e995;
const SEED = 0x9747b28c;

/** Partition of `key` among `partitionCount`. */
export function partitionOfKey(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount;
}

export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length;
  let hash = SEED ^ length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let word = byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8);
    word |= (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24);
    word = Math.imul(word, MIX);
    hash = Math.imul(hash, MIX) ^ Math.imul(word ^ (word >>> 24), MIX);
  }
  if (at < length) {
    for (let i = length - 1; i >= at; i--) hash ^= byteAt(bytes, i) << (8 * (i - at));
    hash = Math.imul(hash, MIX);
  }
  hash = Math.imul(hash ^ (hash >>> 13), MIX);
  return hash ^ (hash >>> 15);
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}
