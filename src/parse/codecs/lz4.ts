/**
 * LZ4 frames, as Kafka's clients write them: linked or independent blocks, with or without block and content
 * checksums and content size. Format: lz4_Frame_format.md and lz4_Block_format.md.
 * The header's checksum is verified; those of blocks and content are passed over, because the CRC of the record
 * batch already covers the same bytes.
 */
import { type BlockCursor, type CompressedSpan, type DecompressOutcome, openCursor } from './codec.ts';
import type { GrowableBuffer } from './growable-buffer.ts';
import { decodeLz4Block } from './lz4-block.ts';
import { xxh32OfShort } from './xxh32.ts';

const FRAME_MAGIC = 0x184d2204;
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_MASK = 0xfffffff0;
const UNCOMPRESSED_BIT = 0x80000000;
/** Each byte of a run-length code stands for at most 255 bytes of output. */
const MAX_GROWTH = 255;

interface FrameHeader {
  readonly isLinked: boolean;
  readonly hasBlockChecksums: boolean;
  readonly hasContentChecksum: boolean;
  /** -1: not given. */
  readonly contentBytes: number;
  readonly maxBlockBytes: number;
}

export function decompressLz4(input: CompressedSpan, output: GrowableBuffer): DecompressOutcome {
  const cursor = openCursor(input, output);
  while (cursor.inputPos < input.end) {
    if (input.end - cursor.inputPos < 8) return 'corrupt';
    const magic = cursor.inputView.getUint32(cursor.inputPos, true);
    cursor.inputPos += 4;
    if ((magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC) {
      cursor.inputPos += 4 + cursor.inputView.getUint32(cursor.inputPos, true);
      if (cursor.inputPos > input.end) return 'corrupt';
      continue;
    }
    const header = magic === FRAME_MAGIC ? readHeader(cursor, input.end) : undefined;
    if (header === undefined) return 'corrupt';
    const outcome = decodeFrame(cursor, header, { input, output });
    if (outcome !== 'ok') return outcome;
  }
  return 'ok';
}

/** Frame descriptor behind the magic number; undefined when it is not valid or wants a dictionary. */
function readHeader(cursor: BlockCursor, end: number): FrameHeader | undefined {
  const { input, inputView, inputPos: start } = cursor;
  const flags = input[start] ?? 0;
  const blockCode = ((input[start + 1] ?? 0) >>> 4) & 7;
  const hasContentSize = (flags & 0x08) !== 0;
  const checksumAt = start + 2 + (hasContentSize ? 8 : 0);
  if (flags >>> 6 !== 1 || (flags & 0x01) !== 0 || blockCode < 4 || checksumAt >= end) return undefined;
  if (((xxh32OfShort(input, start, checksumAt) >>> 8) & 0xff) !== input[checksumAt]) return undefined;
  cursor.inputPos = checksumAt + 1;
  const contentBytes = hasContentSize
    ? inputView.getUint32(start + 2, true) + inputView.getUint32(start + 6, true) * 2 ** 32
    : -1;
  return {
    isLinked: (flags & 0x20) === 0,
    hasBlockChecksums: (flags & 0x10) !== 0,
    hasContentChecksum: (flags & 0x04) !== 0,
    contentBytes,
    maxBlockBytes: 2 ** (8 + 2 * blockCode),
  };
}

interface FrameSides {
  readonly input: CompressedSpan;
  readonly output: GrowableBuffer;
}

function decodeFrame(cursor: BlockCursor, header: FrameHeader, sides: FrameSides): DecompressOutcome {
  const { input, output } = sides;
  const frameStart = output.length;
  if (header.contentBytes >= 0) {
    if (header.contentBytes > output.maxBytes - output.length) return 'too_large';
    if (header.contentBytes > (input.end - cursor.inputPos) * MAX_GROWTH) return 'corrupt';
    output.reserve(header.contentBytes);
  }
  const outcome = decodeBlocks(cursor, header, sides);
  if (outcome !== 'ok') return outcome;
  if (header.hasContentChecksum) cursor.inputPos += 4;
  if (cursor.inputPos > input.end) return 'corrupt';
  const isWhole = header.contentBytes < 0 || output.length - frameStart === header.contentBytes;
  return isWhole ? 'ok' : 'corrupt';
}

/** All blocks of a frame, up to and including its end mark. */
function decodeBlocks(cursor: BlockCursor, header: FrameHeader, sides: FrameSides): DecompressOutcome {
  const { input, output } = sides;
  const frameStart = output.length;
  const trailerBytes = header.hasBlockChecksums ? 4 : 0;
  for (;;) {
    if (input.end - cursor.inputPos < 4) return 'corrupt';
    const word = cursor.inputView.getUint32(cursor.inputPos, true);
    cursor.inputPos += 4;
    if (word === 0) return 'ok';
    const blockBytes = word & 0x7fffffff;
    if (blockBytes > header.maxBlockBytes) return 'corrupt';
    if (blockBytes + trailerBytes > input.end - cursor.inputPos) return 'corrupt';
    cursor.inputEnd = cursor.inputPos + blockBytes;
    const room = Math.min(header.maxBlockBytes, output.maxBytes - output.length);
    output.reserve(room);
    aim(cursor, output, room);
    if (header.isLinked) cursor.outputBase = frameStart;
    const isDone = word < UNCOMPRESSED_BIT ? decodeLz4Block(cursor) : copyStored(cursor);
    if (!isDone) return room < header.maxBlockBytes ? 'too_large' : 'corrupt';
    output.length = cursor.outputPos;
    cursor.inputPos = cursor.inputEnd + trailerBytes;
  }
}

/** Points the cursor at the end of the output, with `room` bytes to write. */
function aim(cursor: BlockCursor, output: GrowableBuffer, room: number): void {
  cursor.output = output.bytes;
  cursor.outputView = output.view;
  cursor.outputPos = output.length;
  cursor.outputBase = output.length;
  cursor.outputLimit = output.length + room;
}

function copyStored(cursor: BlockCursor): boolean {
  const length = cursor.inputEnd - cursor.inputPos;
  if (length > cursor.outputLimit - cursor.outputPos) return false;
  cursor.output.set(cursor.input.subarray(cursor.inputPos, cursor.inputEnd), cursor.outputPos);
  cursor.outputPos += length;
  return true;
}
