import { expect, test } from 'vitest';
import { editDistance, nearestName } from '../../src/config/did-you-mean.ts';

test.each([
  ['', 'abc', 3],
  ['abc', 'abc', 0],
  ['abc', 'acb', 1],
  ['kitten', 'sitting', 3],
  ['HTTP_PROT', 'HTTP_PORT', 1],
])('editDistance of %s and %s', (a, b, expected) => {
  expect(editDistance(a, b)).toBe(expected);
  expect(editDistance(b, a)).toBe(expected);
});

test('nearestName finds a close name and no far one', () => {
  expect(nearestName('FLUSH_ROW', ['FLUSH_ROWS', 'FLUSH_BYTES'])).toBe('FLUSH_ROWS');
  expect(nearestName('BANANA', ['FLUSH_ROWS', 'FLUSH_BYTES'])).toBeUndefined();
});

test('nearestName compares no long words', () => {
  const known = 'N'.repeat(64);
  expect(nearestName(known, [`${known}_`])).toBe(`${known}_`);
  expect(nearestName(`${known}N`, [known])).toBeUndefined();
});
