import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MALFORMED_POS, VarintCursor } from '../../src/parse/varint-cursor.ts';
import { zigzag } from '../support/record-batches.ts';

function cursorOver(bytes: Uint8Array): VarintCursor {
  return new VarintCursor(bytes);
}

describe('VarintCursor', () => {
  test('reads every 32-bit number that was written', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        const bytes = zigzag(value);
        const cursor = cursorOver(bytes);
        expect(cursor.readInt()).toBe(value);
        expect(cursor.pos).toBe(bytes.length);
      }),
    );
  });

  test('reads every safe integer as a long', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const bytes = zigzag(value);
        const cursor = cursorOver(bytes);
        // Zigzag doubles: the last bit of the very largest is beyond a double.
        expect(Math.abs(cursor.readLong() - value)).toBeLessThanOrEqual(Math.abs(value) > 2 ** 52 ? 1 : 0);
        expect(cursor.pos).toBe(bytes.length);
      }),
    );
  });

  test.each([
    ['int', 5],
    ['long', 10],
  ] as const)('%s: no end after %d bytes is malformed', (kind, mostBytes) => {
    const endless = new Uint8Array(20).fill(0x80);
    const longest = endless.slice();
    longest[mostBytes - 1] = 0x01;
    const tooLong = endless.slice();
    tooLong[mostBytes] = 0x01;
    for (const [bytes, pos] of [
      [endless, MALFORMED_POS],
      [tooLong, MALFORMED_POS],
      [longest, mostBytes],
    ] as const) {
      const cursor = cursorOver(bytes);
      if (kind === 'int') cursor.readInt();
      else cursor.readLong();
      expect(cursor.pos).toBe(pos);
    }
  });

  test('the end of the memory ends a varint', () => {
    const cursor = cursorOver(Uint8Array.of(0x80));
    expect(cursor.readInt()).toBe(0);
    expect(cursor.pos).toBe(2);
  });
});
