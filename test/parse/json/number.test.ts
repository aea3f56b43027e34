import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { numberEnd, parseDecimal, parseUint64, parseWhole, wide } from '../../../src/parse/json/number.ts';

function at(text: string) {
  const bytes = new Uint8Array(Buffer.from(`7${text}7`));
  return { bytes, range: { start: 1, end: bytes.length - 1 } };
}

function decimal(text: string): number {
  const { bytes, range } = at(text);
  return parseDecimal(bytes, range);
}

function uint64(text: string): bigint | undefined {
  const { bytes, range } = at(text);
  return parseUint64(bytes, range) ? (BigInt(wide.high) << 32n) | BigInt(wide.low) : undefined;
}

describe('parseDecimal', () => {
  test('gives the double that JavaScript gives', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(decimal(String(value))).toBe(Number(String(value)));
        const fixed = (value % 1e15).toFixed(2);
        expect(decimal(fixed) - Number(fixed)).toBe(0);
      }),
      { numRuns: 3000 },
    );
  });

  test.each(['', '-', '+1', '01', '1.', '.5', '1e', '0x10', ' 1', 'NaN', 'Infinity', '1e999'])(
    '%s is none',
    (text) => {
      expect(decimal(text)).toBeNaN();
    },
  );
});

describe('parseUint64', () => {
  test.each([
    ['0', 0n],
    ['4294967296', 1n << 32n],
    ['999999999999999', 999_999_999_999_999n],
    ['9007199254740993', 9_007_199_254_740_993n],
    ['18446744073709551615', (1n << 64n) - 1n],
    ['1.5e3', 1500n],
    ['2.5', 3n],
    ['18446744073709551616', undefined],
    ['-1', undefined],
    ['', undefined],
    ['x', undefined],
    ['1e20', undefined],
  ])('%s', (text, expected) => {
    expect(uint64(text)).toBe(expected);
  });
});

test('parseWhole takes up to fifteen digits and nothing else', () => {
  const whole = (text: string) => parseWhole(at(text).bytes, at(text).range);
  expect(['0', '007', '999999999999999', '1000000000000000', '-1', '1.0', '', '1 '].map(whole)).toEqual([
    0, 7, 999_999_999_999_999, -1, -1, -1, -1, -1,
  ]);
});

test('numberEnd stops where JSON stops', () => {
  const end = (text: string) => numberEnd(new Uint8Array(Buffer.from(text)), 0, text.length);
  expect(['12,', '-0.5e+7}', '00', '-', 'a', '1.x', '1ex', '1e5'].map(end)).toEqual([
    2, 7, 1, -1, -1, -1, -1, 3,
  ]);
});
