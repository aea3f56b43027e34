import { Encoder } from '@toondepauw/node-zstd';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decompressZstd } from '../../../src/parse/codecs/zstd.ts';
import { measureZstdFrame } from '../../../src/parse/codecs/zstd-frame.ts';
import { decompressAll, peakGrowthBytes, sampleContents } from '../../support/decompress.ts';

const encoder = new Encoder(3);

/** A frame by hand: single segment, one-byte content size, blocks as given. */
function frame(contentBytes: number, blocks: readonly number[]): Buffer {
  return Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, contentBytes, ...blocks]);
}

describe('zstd', () => {
  test.each(sampleContents())('%s comes back', (_name, content) => {
    for (const level of [1, 3, 19]) {
      const { outcome, content: decompressed } = decompressAll(
        decompressZstd,
        new Encoder(level).encodeSync(content),
      );
      expect(outcome).toBe('ok');
      expect(Buffer.compare(decompressed, content)).toBe(0);
    }
  });

  test('frames follow each other, with skippable ones between', () => {
    const skippable = Buffer.from([0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9]);
    const frames = ['one ', 'two'].map((text) => encoder.encodeSync(Buffer.from(text)));
    const input = Buffer.concat([frames[0]!, skippable, frames[1]!]);
    expect(decompressAll(decompressZstd, input)).toMatchObject({
      outcome: 'ok',
      content: Buffer.from('one two'),
    });
  });

  test('raw and run-length blocks', () => {
    // Raw block "ab", then "c" five times as the last block.
    const input = frame(7, [2 << 3, 0, 0, 97, 98, (5 << 3) | 0b011, 0, 0, 99]);
    expect(decompressAll(decompressZstd, input).content.toString()).toBe('abccccc');
  });

  test('a bomb is refused before it is unpacked', () => {
    const bomb = encoder.encodeSync(Buffer.alloc(50_000_000));
    expect(bomb.length).toBeLessThan(10_000);
    expect(decompressAll(decompressZstd, bomb, 1_000_000).outcome).toBe('too_large');
    expect(decompressAll(decompressZstd, bomb, 51_000_000).outcome).toBe('ok');
  });

  test('a bomb takes no more memory than the cap', () => {
    // 5,000 run-length blocks of 128 KiB, the last one marked as such.
    const block = [0b010, 0, 0x10, 0];
    const blocks = Array.from({ length: 5000 }, () => block).flat();
    blocks[blocks.length - 4] = 0b011;
    const bomb = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x60, ...blocks]);
    const growth = peakGrowthBytes(() => {
      expect(decompressAll(decompressZstd, bomb, 20_000_000).outcome).toBe('too_large');
    });
    expect(growth).toBeLessThan(150_000_000);
    expect(
      decompressAll(decompressZstd, Buffer.from([...bomb.subarray(0, 6), ...block.with(0, 0b011)])),
    ).toEqual({
      outcome: 'ok',
      content: Buffer.alloc(128 * 1024),
    });
  });

  test('every cut is refused', () => {
    const input = encoder.encodeSync(
      Buffer.from('some content, some content, that is long enough to be cut'),
    );
    for (let length = 1; length < input.length; length++) {
      expect(decompressAll(decompressZstd, input.subarray(0, length)).outcome).toBe('corrupt');
    }
  });

  const broken: readonly (readonly [string, Buffer])[] = [
    ['another magic number', Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])],
    ['a reserved block type', frame(7, [0b111, 0, 0, 97])],
    ['a block above 128 KiB', frame(7, [0b011, 0, 0xff, 97])],
    ['a window of 2 TiB', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 0b001, 0, 0])],
    ['less content than announced', frame(7, [(5 << 3) | 0b011, 0, 0, 99])],
  ];
  test.each(broken)('%s is refused', (_name, input) => {
    expect(decompressAll(decompressZstd, input).outcome).toBe('corrupt');
  });
});

test('a measured frame is never smaller than its content, and ends where it ends', () => {
  const pieces = fc.array(fc.tuple(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 2000 })), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(pieces, (parts) => {
      const content = Buffer.concat(parts.map(([bytes, times]) => Buffer.alloc(bytes.length * times, bytes)));
      const input = encoder.encodeSync(content);
      const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
      const measured = measureZstdFrame(view, 0, input.length);
      expect(measured?.end).toBe(input.length);
      expect(measured?.maxContentBytes).toBeGreaterThanOrEqual(content.length);
    }),
    { numRuns: 100 },
  );
});
