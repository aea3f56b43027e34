import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeEventId, encodeEventId } from '../../src/event/event-id.ts';

const address = fc.record({
  timestampUs: fc.integer({ min: -1e15, max: 4.1e15 }),
  source: fc.integer({ min: 0, max: 255 }),
  partition: fc.integer({ min: 0, max: 16_383 }),
  offset: fc.integer({ min: 0, max: 2 ** 40 - 1 }),
});

describe('encodeEventId', () => {
  test('puts each part where the layout says', () => {
    const timestampUs = Date.UTC(2026, 0, 2, 3, 4, 5) * 1000 + 678_901;
    const id = encodeEventId({ timestampUs, source: 200, partition: 16_383, offset: 2 ** 40 - 1 });
    expect(id).toBe('019b7ca9-8f2e-7385-b23f-ffffffffffff');
    expect(encodeEventId({ timestampUs: 0, source: 0, partition: 0, offset: 0 })).toBe(
      '00000000-0000-7000-8000-000000000000',
    );
  });

  test('is undone by decodeEventId', () => {
    fc.assert(
      fc.property(address, (event) => {
        expect(decodeEventId(encodeEventId(event))).toEqual(event);
      }),
    );
  });

  test('orders ids of one lane by time, then offset', () => {
    const later = fc.record({
      us: fc.integer({ min: 0, max: 1e15 }),
      offset: fc.integer({ min: 0, max: 1e12 }),
    });
    const idOf = ({ us, offset }: { us: number; offset: number }): string =>
      encodeEventId({ timestampUs: us, source: 7, partition: 3, offset });
    fc.assert(
      fc.property(later, later, (a, b) => {
        const expected = a.us === b.us ? a.offset - b.offset : a.us - b.us;
        const [left, right] = [idOf(a), idOf(b)];
        expect(left < right ? -1 : Number(left > right)).toBe(Math.sign(expected));
      }),
    );
  });
});

describe('decodeEventId', () => {
  test.each([
    '',
    'x',
    '019b7ca9-8f2e-4385-b23f-ffffffffffff', // version 4
    '019b7ca9-8f2e-7385-123f-ffffffffffff', // another variant
    '019b7ca9-8f2e-73e8-b23f-ffffffffffff', // 1000 microseconds
    '019b7ca9-8f2e-7385-b23f-fffffffffff', // short
    ' 019b7ca9-8f2e-7385-b23f-ffffffffffff',
  ])('takes %j for no id', (text) => {
    expect(decodeEventId(text)).toBeUndefined();
  });

  test('reads capital letters', () => {
    expect(decodeEventId('019B7CA9-8F2E-7385-B23F-FFFFFFFFFFFF')?.source).toBe(200);
  });
});
