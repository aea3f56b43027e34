/**
 * Walks the headers of a Zstandard frame without decoding it: where it ends and how large its content can be.
 * It is what makes decoders without a cap safe: no block may give more than its header allows (RFC 8878, 3.1.1).
 */

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_MASK = 0xfffffff0;
const MAX_BLOCK_BYTES = 128 * 1024;
/** libzstd's own limit for streams, 2^27. */
const MAX_WINDOW_BYTES = 128 * 1024 * 1024;

export interface ZstdFrame {
  /** End of the frame, exclusive. */
  end: number;
  /** The content is never larger than this; 0 for a skippable frame. */
  maxContentBytes: number;
}

/** The frame at `start`; undefined when there is no whole, valid one before `end`. */
export function measureZstdFrame(view: DataView, start: number, end: number): ZstdFrame | undefined {
  if (end - start < 8) return undefined;
  const magic = view.getUint32(start, true);
  if ((magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC) {
    const frameEnd = start + 8 + view.getUint32(start + 4, true);
    return frameEnd <= end ? { end: frameEnd, maxContentBytes: 0 } : undefined;
  }
  if (magic !== FRAME_MAGIC) return undefined;
  const descriptor = view.getUint8(start + 4);
  const headerBytes = frameHeaderBytes(descriptor);
  const hasReservedBit = (descriptor & 0x08) !== 0;
  if (hasReservedBit || end - start - 5 < headerBytes) return undefined;
  const blockLimit = maxBlockBytes(view, start + 5, descriptor);
  if (blockLimit < 0) return undefined;
  const frame = walkBlocks({ view, start: start + 5 + headerBytes, end }, blockLimit);
  if (frame === undefined) return undefined;
  if ((descriptor & 0x04) !== 0) frame.end += 4;
  return frame.end <= end ? frame : undefined;
}

/** Bytes between the descriptor and the first block: window, dictionary id and content size. */
function frameHeaderBytes(descriptor: number): number {
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  return (isSingleSegment ? 0 : 1) + dictionaryBytes + contentSizeBytes(descriptor);
}

function contentSizeBytes(descriptor: number): number {
  const isSingleSegment = (descriptor & 0x20) !== 0;
  return [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0;
}

/** Block_Maximum_Size, the smaller of the window and 128 KiB; -1 when the window is too large. */
// The content size stands in for the window of a single segment; it only limits blocks from above.
function maxBlockBytes(view: DataView, at: number, descriptor: number): number {
  if ((descriptor & 0x20) !== 0) return MAX_BLOCK_BYTES;
  const windowCode = view.getUint8(at);
  const base = 2 ** (10 + (windowCode >>> 3));
  const windowBytes = base + (base / 8) * (windowCode & 7);
  return windowBytes > MAX_WINDOW_BYTES ? -1 : Math.min(windowBytes, MAX_BLOCK_BYTES);
}

interface BlockStretch {
  readonly view: DataView;
  readonly start: number;
  readonly end: number;
}

function walkBlocks(stretch: BlockStretch, blockLimit: number): ZstdFrame | undefined {
  const { view, end } = stretch;
  let at = stretch.start;
  let maxContentBytes = 0;
  for (;;) {
    if (at + 3 > end) return undefined;
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const kind = (header >>> 1) & 3;
    const size = header >>> 3;
    if (kind === 3 || size > blockLimit) return undefined;
    // Raw and run-length blocks say how much they give; a run-length block holds one byte.
    maxContentBytes += kind === 2 ? blockLimit : size;
    at += 3 + (kind === 1 ? 1 : size);
    if (at > end) return undefined;
    if ((header & 1) !== 0) return { end: at, maxContentBytes };
  }
}
