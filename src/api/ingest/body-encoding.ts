/**
 * Undoes the Content-Encoding of a body, never beyond a limit.
 */
import { createGunzip, createInflate, type Gunzip, type Inflate } from 'node:zlib';
import { MillraceError, quoteValue } from '../../errors.ts';
import { concatenate } from '../http/body-collector.ts';
import { badRequest } from '../problem.ts';

/** Fewer and larger steps than by default. */
const OPTIONS = { chunkSize: 65_536 };
const DECODERS: Readonly<Record<string, () => Gunzip | Inflate>> = {
  gzip: () => createGunzip(OPTIONS),
  'x-gzip': () => createGunzip(OPTIONS),
  deflate: () => createInflate(OPTIONS),
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

/**
 * Throws 413 when more than `maxBytes` come out, 400 when the bytes are not what they are said to be. `onBytes` is
 * told of bytes as they come out; what it throws ends the decoding.
 */
export async function decodeBody(
  body: ArrayBuffer,
  encoding: string,
  { maxBytes, onBytes }: { readonly maxBytes: number; readonly onBytes: (byteCount: number) => void },
): Promise<ArrayBuffer> {
  const decoder = DECODERS[encoding.toLowerCase()]?.();
  if (decoder === undefined) return body;
  decoder.end(new Uint8Array(body));
  const chunks: Uint8Array[] = [];
  let byteCount = 0;
  try {
    for await (const chunk of decoder as AsyncIterable<Buffer>) {
      byteCount += chunk.byteLength;
      if (byteCount > maxBytes) throw tooLarge(maxBytes);
      onBytes(chunk.byteLength);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof MillraceError ? error : badRequest(`The body is not valid ${encoding}.`);
  }
  return concatenate(chunks, byteCount).buffer;
}

function tooLarge(maxBytes: number): MillraceError {
  return new MillraceError('payload_too_large', `The decoded body is larger than ${maxBytes} bytes.`);
}
