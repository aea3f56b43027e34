/**
 * Reads the zigzag varints that Kafka records are made of, moving one position along the bytes.
 * It never throws: what is not a varint leaves the position at MALFORMED_POS, which every bounds check refuses.
 */

/** Past the end of any memory. */
export const MALFORMED_POS = Number.MAX_SAFE_INTEGER;

export class VarintCursor {
  bytes: Uint8Array;
  pos = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Zigzag varint of 32 bits. Bytes behind the end read as 0; the caller compares `pos` with its limit. */
  readInt(): number {
    const first = this.bytes[this.pos++] ?? 0;
    if (first < 0x80) return (first >>> 1) ^ -(first & 1);
    let value = first & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      const byte = this.bytes[this.pos++] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    this.pos = MALFORMED_POS;
    return 0;
  }

  /** Zigzag varint of 64 bits as a double: exact up to 2^53, beyond that merely close. */
  readLong(): number {
    const first = this.bytes[this.pos++] ?? 0;
    if (first < 0x80) return (first >>> 1) ^ -(first & 1);
    let value = first & 0x7f;
    let factor = 128;
    for (let index = 1; index < 10; index++) {
      const byte = this.bytes[this.pos++] ?? 0;
      value += (byte & 0x7f) * factor;
      factor *= 128;
      if (byte < 0x80) return (first & 1) === 0 ? value / 2 : -(value + 1) / 2;
    }
    this.pos = MALFORMED_POS;
    return 0;
  }
}
