/** Bytes of one body of a direct source, `bytes[start, end)`, in memory that is shared and only read. */
export interface BodySpan {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}
