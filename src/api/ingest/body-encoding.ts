/**
 * Undoes the Content-Encoding of a body, never beyond a limit.
 */
import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import { MillraceError, quoteValue } from '../../errors.ts';
import { badRequest } from '../problem.ts';

const DECODERS: Readonly<Record<string, (input: ArrayBuffer, options: object) => Promise<Buffer>>> = {
  gzip: promisify(gunzip) as (input: ArrayBuffer, options: object) => Promise<Buffer>,
  'x-gzip': promisify(gunzip) as (input: ArrayBuffer, options: object) => Promise<Buffer>,
  deflate: promisify(inflate) as (input: ArrayBuffer, options: object) => Promise<Buffer>,
};

/** True when the body must be decoded; throws `unsupported_media_type` for an encoding that is not known. */
export function isEncoded(encoding: string | undefined): encoding is string {
  if (encoding === undefined || encoding.toLowerCase() === 'identity') return false;
  if (Object.hasOwn(DECODERS, encoding.toLowerCase())) return true;
  throw new MillraceError(
    'unsupported_media_type',
    `Content-Encoding must be gzip or deflate; got ${quoteValue(encoding)}.`,
  );
}

/** Throws 413 when more than `maxBytes` come out, 400 when the bytes are not what they are said to be. */
export async function decodeBody(
  body: ArrayBuffer,
  encoding: string,
  maxBytes: number,
): Promise<ArrayBuffer> {
  const decode = DECODERS[encoding.toLowerCase()];
  if (decode === undefined) return body;
  let decoded: Buffer;
  try {
    decoded = await decode(body, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new MillraceError('payload_too_large', `The decoded body is larger than ${maxBytes} bytes.`);
    }
    throw badRequest(`The body is not valid ${encoding}.`);
  }
  // A buffer of zlib may share its memory; what is moved on must not.
  return new Uint8Array(decoded).buffer;
}
