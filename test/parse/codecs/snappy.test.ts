import { compressSync } from 'snappy';
import { describe, expect, test } from 'vitest';
import { decompressSnappy } from '../../../src/parse/codecs/snappy.ts';
import { decompressAll, sampleContents } from '../../support/decompress.ts';
import { xerial } from '../../support/record-batches.ts';

describe('snappy', () => {
  test.each(sampleContents())('a raw block of %s comes back', (_name, content) => {
    const { outcome, content: decompressed } = decompressAll(decompressSnappy, compressSync(content));
    expect(outcome).toBe('ok');
    expect(Buffer.compare(decompressed, content)).toBe(0);
  });

  test.each(sampleContents())('a xerial stream of %s comes back', (_name, content) => {
    for (const blockBytes of [1000, 32 * 1024]) {
      const { outcome, content: decompressed } = decompressAll(decompressSnappy, xerial(content, blockBytes));
      expect(outcome).toBe('ok');
      expect(Buffer.compare(decompressed, content)).toBe(0);
    }
  });

  // Elements by hand: length varint, then tag bytes as the format description has them.
  const cases: readonly (readonly [string, readonly number[], string])[] = [
    ['copy with one distance byte', [8, 0x0c, 97, 98, 99, 100, 0b000_000_01, 4], 'abcdabcd'],
    ['copy with two distance bytes', [8, 0x0c, 97, 98, 99, 100, 0b000011_10, 4, 0], 'abcdabcd'],
    ['copy with four distance bytes', [8, 0x0c, 97, 98, 99, 100, 0b000011_11, 4, 0, 0, 0], 'abcdabcd'],
    ['copy that overlaps itself', [7, 0x00, 97, 0b000101_10, 1, 0], 'aaaaaaa'],
    ['literal with a length byte', [3, 60 << 2, 2, 97, 98, 99], 'abc'],
    ['literal with four length bytes', [3, 63 << 2, 2, 0, 0, 0, 97, 98, 99], 'abc'],
  ];
  test.each(cases)('%s', (_name, input, content) => {
    expect(decompressAll(decompressSnappy, Uint8Array.from(input))).toMatchObject({
      outcome: 'ok',
      content: Buffer.from(content),
    });
  });

  const broken: readonly (readonly [string, readonly number[]])[] = [
    ['no length', []],
    ['a length without an end', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80]],
    ['a length no input of this size can have', [0xff, 0xff, 0xff, 0x7f, 0x00, 97]],
    ['less content than the length', [5, 0x00, 97]],
    ['more content than the length', [1, 0x04, 97, 98]],
    ['a literal beyond the input', [4, 0x0c, 97]],
    ['a literal of 4 GiB', [4, 63 << 2, 0xff, 0xff, 0xff, 0xff, 97]],
    ['a copy before the start', [5, 0x00, 97, 0b000_000_01, 2]],
    ['a copy of distance 0', [5, 0x00, 97, 0b000_000_01, 0]],
    ['a copy beyond the length', [3, 0x00, 97, 0b000_000_01, 1]],
    ['a copy cut short', [5, 0x00, 97, 0b000011_10, 1]],
    ['a copy of distance 2^31', [5, 0x00, 97, 0b000011_11, 1, 0, 0, 0x80]],
    ['a xerial block beyond the input', [...xerial(Buffer.alloc(0)), 0, 0, 0, 9, 1]],
    ['a negative xerial block', [...xerial(Buffer.alloc(0)), 0xff, 0xff, 0xff, 0xff, 1]],
    ['a xerial length cut short', [...xerial(Buffer.alloc(0)), 0, 0]],
  ];
  test.each(broken)('%s is refused', (_name, input) => {
    expect(decompressAll(decompressSnappy, Uint8Array.from(input)).outcome).toBe('corrupt');
  });

  test('a copy does not reach into the block before it', () => {
    const input = [...xerial(Buffer.from('abcd')), 0, 0, 0, 3, 4, 0b000_000_01, 4];
    expect(decompressAll(decompressSnappy, Uint8Array.from(input)).outcome).toBe('corrupt');
  });

  test('elements beyond the length do not run over the memory', () => {
    const copies = Array.from({ length: 20 }, () => [0b111111_10, 4, 0]).flat();
    const literal = [59 << 2, ...Array.from({ length: 60 }, () => 97)];
    for (const elements of [copies, literal]) {
      const input = Uint8Array.from([8, 0x0c, 97, 98, 99, 100, ...elements]);
      expect(decompressAll(decompressSnappy, input, 8).outcome).toBe('corrupt');
    }
  });

  test('the cap holds, over all blocks together', () => {
    const content = Buffer.alloc(100_000);
    for (const input of [compressSync(content), xerial(content)]) {
      expect(decompressAll(decompressSnappy, input, 99_999).outcome).toBe('too_large');
      expect(decompressAll(decompressSnappy, input, 100_000).outcome).toBe('ok');
    }
  });
});
