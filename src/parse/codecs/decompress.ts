/** Which decoder stands behind which codec number of a record batch. */
import type { CompressedSpan, Decompress, DecompressOutcome } from './codec.ts';
import type { GrowableBuffer } from './growable-buffer.ts';
import { decompressGzip } from './gzip.ts';
import { decompressLz4 } from './lz4.ts';
import { decompressSnappy } from './snappy.ts';
import { decompressZstd } from './zstd.ts';

/** By codec number; 0 stands for "not compressed". */
const DECODERS: readonly (Decompress | undefined)[] = [
  undefined,
  decompressGzip,
  decompressSnappy,
  decompressLz4,
  decompressZstd,
];

const CODEC_NAMES: readonly string[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

export function isKnownCodec(codec: number): boolean {
  return codec < CODEC_NAMES.length;
}

/** Fills `output` anew with what `input` holds. Never throws. */
export function decompressBatch(
  codec: number,
  input: CompressedSpan,
  output: GrowableBuffer,
): DecompressOutcome {
  output.reset();
  const decompress = DECODERS[codec];
  return decompress === undefined ? 'unavailable' : decompress(input, output);
}

const OUTCOME_TEXTS = {
  corrupt: 'the compressed data is not valid',
  too_large: 'the content would exceed the cap',
  unavailable: 'no decoder is available on this platform',
} as const satisfies Record<Exclude<DecompressOutcome, 'ok'>, string>;

export function describeFailure(codec: number, outcome: Exclude<DecompressOutcome, 'ok'>): string {
  return `${CODEC_NAMES[codec] ?? 'codec'}: ${OUTCOME_TEXTS[outcome]}`;
}
