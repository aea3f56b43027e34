/**
 * The stretches of an export are together its range, whatever is dense in it.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type DenseUnit, type Stretch, smaller, stretchesOf } from '../../src/api/logs/export-stretches.ts';

const UNIT_US = 300e6;

function unit(index: number, rowCount: number): DenseUnit {
  return { fromUs: index * UNIT_US, toUs: (index + 1) * UNIT_US, rowCount };
}

const ORDERS = ['asc', 'desc'] as const;
const units = fc
  .uniqueArray(
    fc.record({ index: fc.integer({ min: 1, max: 20 }), rowCount: fc.integer({ min: 100_001, max: 5e6 }) }),
    {
      selector: ({ index }) => index,
    },
  )
  .map((found) =>
    found.toSorted((one, two) => one.index - two.index).map(({ index, rowCount }) => unit(index, rowCount)),
  );
const edge = fc.option(fc.integer({ min: 0, max: 21 * UNIT_US }), { nil: undefined });

/** In the order of time; each ends where the next begins. */
function expectJoined(stretches: readonly Stretch[], range: Pick<Stretch, 'fromUs' | 'toUs'>): void {
  expect(stretches[0]?.fromUs).toBe(range.fromUs);
  expect(stretches.at(-1)?.toUs).toBe(range.toUs);
  for (const [i, { toUs }] of stretches.slice(0, -1).entries()) expect(stretches[i + 1]?.fromUs).toBe(toUs);
  for (const { fromUs = -1, toUs = Infinity } of stretches) expect(fromUs).toBeLessThan(toUs);
}

it('stretches follow one another without gap and overlap', () => {
  fc.assert(
    fc.property(units, fc.tuple(edge, edge), fc.constantFrom(...ORDERS), (dense, [one, two], order) => {
      const isTurned = one !== undefined && two !== undefined && one > two;
      const range = isTurned ? { fromUs: two, toUs: one } : { fromUs: one, toUs: two };
      if (range.fromUs !== undefined && range.fromUs === range.toUs) return;
      const stretches = [...stretchesOf(range, dense, order)];
      expectJoined(order === 'asc' ? stretches : stretches.toReversed(), range);
    }),
  );
});

it('what is dense is cut into sorts of half a million rows', () => {
  const stretches = [...stretchesOf({ fromUs: undefined, toUs: undefined }, [unit(3, 25e6)], 'asc')];
  expect(stretches.map(({ isDense }) => isDense)).toEqual([
    false,
    ...Array.from({ length: 50 }, () => true),
    false,
  ]);
  expect(stretches[1]).toEqual({ fromUs: 3 * UNIT_US, toUs: 3 * UNIT_US + 6e6, isDense: true });
});

it('a stretch that is too much is sorted as a whole, then halved, down to a microsecond', () => {
  expect(smaller({ fromUs: 0, toUs: undefined, isDense: false }, 'asc')).toEqual([
    { fromUs: 0, toUs: undefined, isDense: true },
  ]);
  for (const order of ORDERS) {
    const halves = smaller({ fromUs: 10, toUs: 13, isDense: true }, order);
    expectJoined(order === 'asc' ? halves : halves.toReversed(), { fromUs: 10, toUs: 13 });
    expect(halves).toHaveLength(2);
  }
  expect(smaller({ fromUs: 10, toUs: 11, isDense: true }, 'asc')).toEqual([]);
  expect(smaller({ fromUs: 10, toUs: undefined, isDense: true }, 'asc')).toEqual([]);
});
