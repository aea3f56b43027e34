/**
 * What a parser may say about the event it is reading. Implemented by the block builder;
 * parsers of JSON and of text lines both write through it, so that they cannot disagree on meaning.
 * Bytes handed in are only read during the call.
 */

/** Text columns: low-cardinality ones and plain strings alike. */
export const TextField = {
  host: 0,
  service: 1,
  environment: 2,
  user: 3,
  process: 4,
  outcome: 5,
  httpMethod: 6,
  geoCountry: 7,
  geoCity: 8,
  message: 9,
  traceId: 10,
  spanId: 11,
  correlationId: 12,
  httpPath: 13,
} as const;
export type TextField = (typeof TextField)[keyof typeof TextField];

export const IpField = { source: 0, destination: 1 } as const;
export type IpField = (typeof IpField)[keyof typeof IpField];

/** Unsigned integers where 0 means absent. */
export const UintField = { sourcePort: 0, destinationPort: 1, pid: 2, httpStatus: 3 } as const;
export type UintField = (typeof UintField)[keyof typeof UintField];

export interface EventRow {
  /** UTF-8 bytes `source[start, end)` become the column's value. Setting twice: the last wins. */
  text(field: TextField, source: Uint8Array, range: ByteRange): void;
  hasText(field: TextField): boolean;
  /** Parses an IPv4 or IPv6 address; false (and nothing set) when the bytes are not one. */
  ip(field: IpField, source: Uint8Array, range: ByteRange): boolean;
  hasIp(field: IpField): boolean;
  uint(field: UintField, value: number): void;
  hasUint(field: UintField): boolean;
  /**
   * Event time in microseconds since the epoch. One that cannot be true (before 1970, more than an hour past
   * the record's time) is replaced by the record's and flagged.
   */
  timestamp(microseconds: number): void;
  /** The event carries a time that cannot be read: the record's stands in, flagged. */
  timeUnreadable(): void;
  /** OpenTelemetry severity number 1–24; the level's name follows from it. */
  severity(number: number): void;
  /** Adds one entry of `metadata`; the key is a constant of the program. A key given twice keeps the first value. */
  metadata(key: string, source: Uint8Array, range: ByteRange): void;
  /** Starts a metadata entry whose key came with the event; `metadataValue` must follow. False: the row has the key. */
  metadataKey(source: Uint8Array, start: number, end: number): boolean;
  metadataValue(source: Uint8Array, start: number, end: number): void;
  /** Invalid UTF-8 was replaced by U+FFFD somewhere in the event. */
  textRepaired(): void;
  /** Time of the record in microseconds: what missing years and zones are judged against. */
  readonly recordTimeUs: number;
}

/** Half-open range of bytes. Parsers keep one object and change it: no allocation per call. */
export interface ByteRange {
  start: number;
  end: number;
}
