/**
 * The id of an event: an address in the layout of UUIDv7 (RFC 9562, section 5.7), computed and never stored.
 * 48 bits of milliseconds, version, 12 bits of microseconds, variant, then source (8), partition (14), offset (40).
 * Table `logs` has the same formula as its ALIAS column `id`; a test proves that both agree.
 */

/** Where an event is: its time, and the record it came from. */
export interface EventAddress {
  /** Microseconds since the epoch; negative before 1970. */
  readonly timestampUs: number;
  /** 0–255. */
  readonly source: number;
  /** 0–16383. */
  readonly partition: number;
  /** 0 to 2^40 − 1. */
  readonly offset: number;
}

const MICROSECONDS_PER_MILLISECOND = 1000;
const TIME_SPAN = 2 ** 48;
const OFFSET_SPAN = 2 ** 40;
const VERSION_7 = 0x7000;
const VARIANT = 0x8000;
const TEXT = /^([0-9a-f]{8})-([0-9a-f]{4})-7([0-9a-f]{3})-([89ab][0-9a-f]{3})-([0-9a-f]{12})$/i;

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/** The id as lower-case UUID text. Times before 1970 wrap at 48 bits. */
export function encodeEventId(address: EventAddress): string {
  const { timestampUs, source, partition, offset } = address;
  const ms = Math.floor(timestampUs / MICROSECONDS_PER_MILLISECOND);
  const microseconds = timestampUs - ms * MICROSECONDS_PER_MILLISECOND;
  const time = hex(ms < 0 ? ms + TIME_SPAN : ms, 12);
  // The low half: variant, source and the upper 6 bits of the partition; then its lower 8 bits and the offset.
  const upper = VARIANT | (source << 6) | (partition >> 8);
  const lower = (partition & 0xff) * OFFSET_SPAN + offset;
  const version = hex(VERSION_7 | microseconds, 4);
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${hex(upper, 4)}-${hex(lower, 12)}`;
}

/** The address in an id; undefined when the text is not an id of an event. */
export function decodeEventId(id: string): EventAddress | undefined {
  const [, high = '', middle = '', fraction = '', upperHex = '', lowerHex = ''] = TEXT.exec(id) ?? [];
  const microseconds = Number.parseInt(fraction, 16);
  if (!(microseconds < MICROSECONDS_PER_MILLISECOND)) return undefined;
  const time = Number.parseInt(high + middle, 16);
  const ms = time >= TIME_SPAN / 2 ? time - TIME_SPAN : time;
  const upper = Number.parseInt(upperHex, 16);
  const lower = Number.parseInt(lowerHex, 16);
  return {
    timestampUs: ms * MICROSECONDS_PER_MILLISECOND + microseconds,
    source: (upper >> 6) & 0xff,
    partition: ((upper & 0x3f) << 8) | Math.floor(lower / OFFSET_SPAN),
    offset: lower % OFFSET_SPAN,
  };
}
