/** Runs one codec over bytes in shared memory that begin and end exactly where the input does. */
import type { Decompress, DecompressOutcome } from '../../src/parse/codecs/codec.ts';
import { GrowableBuffer } from '../../src/parse/codecs/growable-buffer.ts';
import { shared } from './record-batches.ts';

export interface Decompressed {
  readonly outcome: DecompressOutcome;
  readonly content: Buffer;
}

export function decompressAll(
  decompress: Decompress,
  input: Uint8Array,
  maxBytes = 64 * 1024 * 1024,
): Decompressed {
  const output = new GrowableBuffer(maxBytes);
  const outcome = decompress({ bytes: shared(input, 5), start: 5, end: 5 + input.length }, output);
  return { outcome, content: Buffer.from(output.bytes.subarray(0, output.length)) };
}

/** How much the process's peak of resident memory grew while `run` ran, in bytes. */
export function peakGrowthBytes(run: () => void): number {
  const before = process.resourceUsage().maxRSS;
  run();
  return (process.resourceUsage().maxRSS - before) * 1024;
}

/** Contents that make encoders choose differently: nothing, noise, runs of every short period, text. */
export function sampleContents(): readonly (readonly [string, Buffer])[] {
  const noise = Buffer.alloc(100_000);
  for (let index = 0, state = 7; index < noise.length; index++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    noise[index] = state >>> 24;
  }
  const runs = [1, 2, 3, 4, 5, 7, 8, 63, 64, 65].map((period): readonly [string, Buffer] => [
    `a period of ${period}`,
    Buffer.alloc(70_001, noise.subarray(0, period)),
  ]);
  return [
    ['nothing', Buffer.alloc(0)],
    ['one byte', Buffer.from('x')],
    ['noise', noise],
    ['text', Buffer.from('a line of text, number 17, of several\n'.repeat(9000))],
    ['noise, then the same again', Buffer.concat([noise.subarray(0, 50_000), noise.subarray(0, 50_000)])],
    ...runs,
  ];
}
