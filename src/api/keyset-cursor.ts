/**
 * Cursors of lists that are no logs: the key of the last row, signed together with what the list was asked for.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { badRequest } from './problem.ts';

type KeyPart = string | number | null;

const MAC_BYTES = 16;

export interface KeysetSeal {
  /** Names everything that the cursor must not be used without: list, filter, scope. */
  readonly binding: string;
  readonly secret: Buffer;
}

export function encodeKeyset(key: readonly KeyPart[], seal: KeysetSeal): string {
  const payload = Buffer.from(JSON.stringify(key));
  return Buffer.concat([sign(payload, seal), payload]).toString('base64url');
}

/** Throws `bad_request` for a cursor that was not made here for this very list. */
export function decodeKeyset(text: string, seal: KeysetSeal): readonly KeyPart[] {
  const bytes = Buffer.from(text, 'base64url');
  const payload = bytes.subarray(MAC_BYTES);
  // The text must be the canonical one too: decoding passes over characters that are not base64.
  const isGenuine =
    payload.byteLength > 0 &&
    bytes.toString('base64url') === text &&
    timingSafeEqual(bytes.subarray(0, MAC_BYTES), sign(payload, seal));
  if (!isGenuine) throw badRequest('The cursor does not belong to this query: start again without it.');
  return JSON.parse(payload.toString()) as readonly KeyPart[];
}

function sign(payload: Buffer, { binding, secret }: KeysetSeal): Buffer {
  const mac = createHmac('sha256', secret).update('keyset\0').update(payload).update('\0').update(binding);
  return mac.digest().subarray(0, MAC_BYTES);
}
