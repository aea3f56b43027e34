import { readFileSync } from 'node:fs';
import { compressFrameSync } from 'lz4-napi';
import { describe, expect, test } from 'vitest';
import { decompressLz4 } from '../../../src/parse/codecs/lz4.ts';
import { xxh32OfShort } from '../../../src/parse/codecs/xxh32.ts';
import { decompressAll, sampleContents } from '../../support/decompress.ts';

interface Frame {
  readonly flags: string;
  readonly base64: string;
}

/** Written by the reference tool (lz4 1.9.4) with the flags named. */
const FRAMES = JSON.parse(
  readFileSync(new URL('lz4-frames.json', import.meta.url), 'utf8'),
) as readonly Frame[];
const FRAME_CONTENT = Array.from({ length: 6000 }, (_, index) => `line ${index % 50} of the frame\n`).join(
  '',
);

describe('LZ4 frames', () => {
  test.each(sampleContents())('%s comes back', (_name, content) => {
    for (const options of [{}, { blockChecksums: true, contentChecksum: true }]) {
      const { outcome, content: decompressed } = decompressAll(
        decompressLz4,
        compressFrameSync(content, options),
      );
      expect(outcome).toBe('ok');
      expect(Buffer.compare(decompressed, content)).toBe(0);
    }
  });

  test.each(FRAMES)('lz4 $flags', ({ base64 }) => {
    const { outcome, content } = decompressAll(decompressLz4, Buffer.from(base64, 'base64'));
    expect(outcome).toBe('ok');
    expect(content.toString()).toBe(FRAME_CONTENT);
  });

  test.each(FRAMES)('lz4 $flags: every cut is refused', ({ base64 }) => {
    const input = Buffer.from(base64, 'base64');
    for (let length = 1; length < input.length; length++) {
      expect(decompressAll(decompressLz4, input.subarray(0, length)).outcome).toBe('corrupt');
    }
  });

  test.each(FRAMES)('lz4 $flags: the cap holds', ({ base64 }) => {
    const input = Buffer.from(base64, 'base64');
    const length = FRAME_CONTENT.length;
    expect(decompressAll(decompressLz4, input, length).outcome).toBe('ok');
    expect(decompressAll(decompressLz4, input, length - 1).outcome).toBe('too_large');
    expect(decompressAll(decompressLz4, input, 10_000).outcome).toBe('too_large');
  });

  test('frames follow each other, with skippable ones between', () => {
    const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9]);
    const input = Buffer.concat([
      compressFrameSync(Buffer.from('one ')),
      skippable,
      compressFrameSync(Buffer.from('two')),
    ]);
    expect(decompressAll(decompressLz4, input)).toMatchObject({
      outcome: 'ok',
      content: Buffer.from('one two'),
    });
  });

  // One frame by hand: independent blocks of up to 64 KiB, no checksums.
  function frame(block: readonly number[], flags = 0x60): Buffer {
    const descriptor = Buffer.from([flags, 0x40]);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(block.length);
    return Buffer.concat([
      Buffer.from([0x04, 0x22, 0x4d, 0x18]),
      descriptor,
      Buffer.from([(xxh32OfShort(descriptor, 0, 2) >>> 8) & 0xff]),
      length,
      Buffer.from(block),
      Buffer.alloc(4),
    ]);
  }

  test('a match that overlaps itself', () => {
    const { content } = decompressAll(decompressLz4, frame([0x14, 97, 1, 0, 0x10, 98]));
    expect(content.toString()).toBe('aaaaaaaaab');
  });

  const broken: readonly (readonly [string, Buffer])[] = [
    ['another magic number', Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9])],
    [
      'a wrong header checksum',
      Buffer.from(frame([0x10, 97]).map((byte, at) => (at === 6 ? byte ^ 1 : byte))),
    ],
    ['version 2', frame([0x10, 97], 0xa0)],
    ['a dictionary', frame([0x10, 97], 0x61)],
    ['a block that ends with a match', frame([0x14, 97, 1, 0])],
    ['a match of distance 0', frame([0x14, 97, 0, 0, 0x10, 98])],
    ['a match before the start', frame([0x14, 97, 2, 0, 0x10, 98])],
    ['literals beyond the block', frame([0x50, 97])],
    ['a length that never ends', frame([0xf0, 255, 255, 255])],
    ['a match length that never ends', frame([0x1f, 97, 1, 0, 255, 255])],
    ['an empty block', frame([0x10])],
  ];
  test.each(broken)('%s is refused', (_name, input) => {
    expect(decompressAll(decompressLz4, input).outcome).toBe('corrupt');
  });

  test('a block that gives more than the frame allows is refused', () => {
    const lengths = Array.from({ length: 300 }, () => 255);
    expect(decompressAll(decompressLz4, frame([0x1f, 97, 1, 0, ...lengths, 0, 0x10, 98])).outcome).toBe(
      'corrupt',
    );
  });

  test('many short matches do not run over the memory', () => {
    // Five literals, ten matches of 18 bytes, one literal: 186 bytes.
    const matches = Array.from({ length: 9 }, () => [0x0e, 5, 0]).flat();
    const input = frame([0x5e, 97, 98, 99, 100, 101, 5, 0, ...matches, 0x10, 98]);
    expect(decompressAll(decompressLz4, input, 186).outcome).toBe('ok');
    for (let cap = 0; cap < 186; cap++)
      expect(decompressAll(decompressLz4, input, cap).outcome).toBe('too_large');
  });

  // A match of four bytes that lie in the block before it, then a literal; end mark.
  const SECOND_BLOCK = Buffer.from([5, 0, 0, 0, 0x00, 4, 0, 0x10, 98, 0, 0, 0, 0]);

  test('an independent block does not reach into the one before it', () => {
    const first = frame([0x40, 97, 98, 99, 100]).subarray(0, -4);
    const linked = Buffer.concat([frame([0x40, 97, 98, 99, 100], 0x40).subarray(0, -4), SECOND_BLOCK]);
    expect(decompressAll(decompressLz4, linked).content.toString()).toBe('abcdabcdb');
    expect(decompressAll(decompressLz4, Buffer.concat([first, SECOND_BLOCK])).outcome).toBe('corrupt');
  });
});

// Values of the reference implementation (xxhsum -H0).
test.each([
  ['', 0x02cc5d05],
  ['a', 0x550d7456],
  ['abc', 0x32d153ff],
])('XXH32 of %j', (text, hash) => {
  const bytes = Buffer.from(text);
  expect(xxh32OfShort(bytes, 0, bytes.length)).toBe(hash);
});
