import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { decompressGzip } from '../../../src/parse/codecs/gzip.ts';
import { decompressAll, peakGrowthBytes, sampleContents } from '../../support/decompress.ts';

describe('gzip', () => {
  test.each(sampleContents())('%s comes back', (_name, content) => {
    const { outcome, content: decompressed } = decompressAll(decompressGzip, gzipSync(content));
    expect(outcome).toBe('ok');
    expect(Buffer.compare(decompressed, content)).toBe(0);
  });

  test('several members come back as one', () => {
    const input = Buffer.concat([gzipSync('one '), gzipSync('two')]);
    expect(decompressAll(decompressGzip, input).content.toString()).toBe('one two');
  });

  test('a trailer that lies about the size is not believed', () => {
    const input = gzipSync(Buffer.alloc(1000));
    input.writeUInt32LE(0xffffffff, input.length - 4);
    expect(decompressAll(decompressGzip, input).outcome).toBe('corrupt');
  });

  test('a bomb stops at the cap', () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    expect(bomb.length).toBeLessThan(60_000);
    expect(decompressAll(decompressGzip, bomb, 1_000_000).outcome).toBe('too_large');
    expect(decompressAll(decompressGzip, bomb, 50_000_000).outcome).toBe('ok');
  });

  test('a bomb takes no more memory than the cap', () => {
    const member = gzipSync(Buffer.alloc(10_000_000));
    const bomb = Buffer.concat(Array.from({ length: 60 }, () => member));
    const growth = peakGrowthBytes(() => {
      expect(decompressAll(decompressGzip, bomb, 20_000_000).outcome).toBe('too_large');
    });
    expect(growth).toBeLessThan(150_000_000);
  });

  test('every cut is refused', () => {
    const input = gzipSync('some content that is long enough to be cut');
    for (let length = 0; length < input.length; length++) {
      expect(decompressAll(decompressGzip, input.subarray(0, length)).outcome).toBe('corrupt');
    }
  });
});
