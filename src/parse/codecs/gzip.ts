/**
 * gzip by zlib, with zlib's own cap on the output. One allocation when the trailer tells the size truly:
 * its last four bytes (RFC 1952, ISIZE) are used as a hint and never trusted.
 */
import { gunzipSync } from 'node:zlib';
import { collectGarbage } from '../../give-back-memory.ts';
import type { CompressedSpan, DecompressOutcome } from './codec.ts';
import type { GrowableBuffer } from './growable-buffer.ts';

const MIN_CHUNK_BYTES = 64 * 1024;

export function decompressGzip(input: CompressedSpan, output: GrowableBuffer): DecompressOutcome {
  const room = output.maxBytes - output.length;
  if (room <= 0) return 'too_large';
  try {
    const inflated = gunzipSync(input.bytes.subarray(input.start, input.end), {
      chunkSize: chunkSizeFor(input, room),
      maxOutputLength: room,
    });
    return output.append(inflated) ? 'ok' : 'too_large';
  } catch (error) {
    if (!isTooLarge(error)) return 'corrupt';
    // What was inflated up to the cap lies outside V8's heap, which is in no hurry then: bombs would add up.
    collectGarbage();
    return 'too_large';
  }
}

/** A lying trailer costs address space only: what is not written to takes no memory. */
function chunkSizeFor(input: CompressedSpan, room: number): number {
  const at = input.end - 4;
  if (at < input.start) return MIN_CHUNK_BYTES;
  const { bytes } = input;
  const hint = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at, true);
  // A little more than the content: zlib asks for another chunk when the last one is exactly full.
  return Math.min(Math.max(hint + 64, MIN_CHUNK_BYTES), Math.max(room, MIN_CHUNK_BYTES));
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
}
