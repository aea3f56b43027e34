/**
 * Cursors: a position in the order (timestamp, source, partition, offset) and the time range of the first page,
 * signed together with the filter they belong to. Opaque to clients, useless with another filter.
 */
import { decodeKeyset, encodeKeyset } from '../keyset-cursor.ts';

export interface LogPosition {
  readonly timestampUs: number;
  readonly source: number;
  readonly partition: number;
  readonly offset: number;
}

export interface LogCursor {
  /** `next` goes on after the position in the order of the query, `prev` goes back before it. */
  readonly direction: 'next' | 'prev';
  readonly position: LogPosition;
  /** The range as it was at the first page, so that `now-1h` does not move while paging. */
  readonly fromUs: number | undefined;
  readonly toUs: number | undefined;
}

type Fields = readonly [
  direction: 'next' | 'prev',
  timestampUs: number,
  source: number,
  partition: number,
  offset: number,
  fromUs: number | null,
  toUs: number | null,
];

/** `binding` names everything that the cursor must not be used without: filter, order, scope. */
export function encodeCursor(cursor: LogCursor, binding: string, secret: Buffer): string {
  const { direction, position, fromUs = null, toUs = null } = cursor;
  const { timestampUs, source, partition, offset } = position;
  const fields: Fields = [direction, timestampUs, source, partition, offset, fromUs, toUs];
  return encodeKeyset(fields, { binding, secret });
}

/** Throws `bad_request` for a cursor that was not made here for this very binding. */
export function decodeCursor(text: string, binding: string, secret: Buffer): LogCursor {
  // It is genuine, so it has the fields that were put in.
  const fields = decodeKeyset(text, { binding, secret }) as Fields;
  const [direction, timestampUs, source, partition, offset, fromUs, toUs] = fields;
  return {
    direction,
    position: { timestampUs, source, partition, offset },
    fromUs: fromUs ?? undefined,
    toUs: toUs ?? undefined,
  };
}
