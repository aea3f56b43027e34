/**
 * Cursors: a position in the order (timestamp, source, partition, offset) and the time range of the first page,
 * signed together with the filter they belong to. Opaque to clients, useless with another filter.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { badRequest } from '../problem.ts';

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

const VERSION = 1;
const MAC_BYTES = 16;

type Fields = readonly [
  version: number,
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
  const fields: Fields = [VERSION, direction, timestampUs, source, partition, offset, fromUs, toUs];
  const payload = Buffer.from(JSON.stringify(fields));
  return Buffer.concat([sign(payload, binding, secret), payload]).toString('base64url');
}

/** Throws `bad_request` for a cursor that was not made here for this very binding. */
export function decodeCursor(text: string, binding: string, secret: Buffer): LogCursor {
  const bytes = Buffer.from(text, 'base64url');
  const payload = bytes.subarray(MAC_BYTES);
  // The text must be the canonical one too: decoding passes over characters that are not base64.
  const isGenuine =
    payload.byteLength > 0 &&
    bytes.toString('base64url') === text &&
    timingSafeEqual(bytes.subarray(0, MAC_BYTES), sign(payload, binding, secret));
  if (!isGenuine) throw badRequest('The cursor does not belong to this query: start again without it.');
  const fields = JSON.parse(payload.toString()) as Fields;
  const [, direction, timestampUs, source, partition, offset, fromUs, toUs] = fields;
  return {
    direction,
    position: { timestampUs, source, partition, offset },
    fromUs: fromUs ?? undefined,
    toUs: toUs ?? undefined,
  };
}

function sign(payload: Buffer, binding: string, secret: Buffer): Buffer {
  const mac = createHmac('sha256', secret).update(payload).update('\0').update(binding).digest();
  return mac.subarray(0, MAC_BYTES);
}
