import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PresentWalk, presentEnd, slicePresent } from '../../src/pipeline/present.ts';

function rowsOf(offsets: readonly number[]) {
  return {
    offsets: Float64Array.from(offsets),
    times: Float64Array.from(offsets, (offset) => offset * 10),
  };
}

const ascending = fc.uniqueArray(fc.nat(500)).map((offsets) => offsets.toSorted((a, b) => a - b));

describe('present rows', () => {
  it('finds exactly the records whose offset and time are there, in any ranges', () => {
    fc.assert(
      fc.property(ascending, fc.nat(500), fc.nat(500), (offsets, a, b) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const sliced = slicePresent({ logs: rowsOf(offsets), dead_letters: rowsOf([]) }, from, to);
        const found: number[] = [];
        const walk = new PresentWalk(sliced?.logs ?? rowsOf([]));
        for (let offset = from; offset < to; offset++) if (walk.has(offset, offset * 10)) found.push(offset);
        expect(found).toEqual(offsets.filter((offset) => offset >= from && offset < to));
      }),
    );
  });

  it('takes another time for another record, and no time for any', () => {
    const rows = { offsets: Float64Array.of(7, 7, 9), times: Float64Array.of(1, 2, 3) };
    expect(new PresentWalk(rows).has(7, 3)).toBe(false);
    expect(new PresentWalk(rows).has(7, 2)).toBe(true);
    const walk = new PresentWalk(rows);
    expect(walk.has(7, undefined)).toBe(true);
    expect(walk.has(8, undefined)).toBe(false);
    expect(walk.has(9, undefined)).toBe(true);
  });

  it('ends after the last row of either table', () => {
    expect(presentEnd({ logs: rowsOf([3, 8]), dead_letters: rowsOf([12]) })).toBe(13);
    expect(presentEnd({ logs: rowsOf([]), dead_letters: rowsOf([]) })).toBe(0);
  });
});
