import { createRequire } from 'node:module';
import { assert, property, uint8Array } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { murmur2, partitionOfKey } from '../../src/bus/murmur2.ts';

const reference = createRequire(import.meta.url)('kafkajs/src/producer/partitioners/default/murmur2.js') as (
  key: Buffer,
) => number;

describe('murmur2', () => {
  it.each([
    // From UtilsTest of Apache Kafka.
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('hashes %s as the Java client does', (key, hash) => {
    expect(murmur2(Buffer.from(key))).toBe(hash);
  });

  it('chooses the partition that kafkajs chooses', () => {
    assert(
      property(uint8Array({ maxLength: 40 }), (key) => {
        expect(partitionOfKey(key, 7)).toBe((reference(Buffer.from(key)) & 0x7fffffff) % 7);
      }),
    );
  });
});
