/**
 * Snappy, as Kafka's clients write it: one raw block (librdkafka, Go) or the xerial stream of raw blocks (Java).
 * Formats: snappy format_description.txt; xerial's SnappyOutputStream.
 */
import { type BlockCursor, type CompressedSpan, type DecompressOutcome, openCursor } from './codec.ts';
import type { GrowableBuffer } from './growable-buffer.ts';
import { decodeSnappyElements } from './snappy-block.ts';

/** 0x82 "SNAPPY" 0x00, then version and lowest compatible version as big-endian int32. */
const XERIAL_MAGIC = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00] as const;
const XERIAL_HEADER_BYTES = 16;
/** The densest element, a copy of 64 bytes, takes three bytes: no honest block grows more than this. */
const MAX_GROWTH = 22;

export function decompressSnappy(input: CompressedSpan, output: GrowableBuffer): DecompressOutcome {
  const cursor = openCursor(input, output);
  if (!isXerial(input)) return decodeBlock(cursor, output);
  cursor.inputPos = input.start + XERIAL_HEADER_BYTES;
  while (cursor.inputPos < input.end) {
    if (cursor.inputPos + 4 > input.end) return 'corrupt';
    const blockBytes = cursor.inputView.getUint32(cursor.inputPos);
    cursor.inputPos += 4;
    if (blockBytes > input.end - cursor.inputPos) return 'corrupt';
    cursor.inputEnd = cursor.inputPos + blockBytes;
    const outcome = decodeBlock(cursor, output);
    if (outcome !== 'ok') return outcome;
  }
  return 'ok';
}

function isXerial(input: CompressedSpan): boolean {
  if (input.end - input.start < XERIAL_HEADER_BYTES) return false;
  return XERIAL_MAGIC.every((byte, index) => input.bytes[input.start + index] === byte);
}

/** One raw block, `cursor.inputPos` to `inputEnd`: its length as a varint, then literals and copies. */
function decodeBlock(cursor: BlockCursor, output: GrowableBuffer): DecompressOutcome {
  const length = readLength(cursor);
  if (length < 0 || length > (cursor.inputEnd - cursor.inputPos) * MAX_GROWTH) return 'corrupt';
  if (!output.reserve(length)) return 'too_large';
  cursor.output = output.bytes;
  cursor.outputView = output.view;
  cursor.outputPos = output.length;
  cursor.outputBase = output.length;
  cursor.outputLimit = output.length + length;
  if (!decodeSnappyElements(cursor) || cursor.outputPos !== cursor.outputLimit) return 'corrupt';
  output.length = cursor.outputPos;
  return 'ok';
}

/** Little-endian base-128 of at most 32 bits; -1 when there is none. */
function readLength(cursor: BlockCursor): number {
  let length = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    if (cursor.inputPos >= cursor.inputEnd) return -1;
    const byte = cursor.input[cursor.inputPos++] ?? 0;
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return length;
  }
  return -1;
}
