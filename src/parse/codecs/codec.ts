/** What the four codecs have in common: their input, their outcome and the state of the block kernels. */
import type { GrowableBuffer } from './growable-buffer.ts';

/** Compressed bytes `bytes[start, end)`; `bytes` may view shared memory and is only read. */
export interface CompressedSpan {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/**
 * `ok`: the output holds everything · `corrupt`: the input is not what the format allows ·
 * `too_large`: the output would pass its cap · `unavailable`: this machine has no decoder for it.
 */
export type DecompressOutcome = 'ok' | 'corrupt' | 'too_large' | 'unavailable';

/** Adds what `input` holds to `output`. Never throws; after any outcome but `ok` the output is void. */
export type Decompress = (input: CompressedSpan, output: GrowableBuffer) => DecompressOutcome;

/** State of one run of a block decoder. Positions move; both sides are bounded. */
export interface BlockCursor {
  readonly input: Uint8Array;
  readonly inputView: DataView;
  inputPos: number;
  inputEnd: number;
  output: Uint8Array;
  outputView: DataView;
  outputPos: number;
  /** Bytes may be written below it (and scribbled up to SLACK_BYTES behind it). */
  outputLimit: number;
  /** Matches may not reach below it. */
  outputBase: number;
}

export function openCursor(input: CompressedSpan, output: GrowableBuffer): BlockCursor {
  const { bytes } = input;
  return {
    input: bytes,
    inputView: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    inputPos: input.start,
    inputEnd: input.end,
    output: output.bytes,
    outputView: output.view,
    outputPos: output.length,
    outputLimit: output.length,
    outputBase: output.length,
  };
}
