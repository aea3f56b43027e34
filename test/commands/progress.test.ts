import { expect, test } from 'vitest';
import { formatBytes, formatDuration, progressLine } from '../../src/commands/progress.ts';

test('progressLine says done, rate and what is left when the end is known', () => {
  expect(progressLine({ unit: 'events', doneCount: 120_000, total: 1_000_000, rate: 98_500 })).toBe(
    '120,000 of 1,000,000 events, 98,500/s, 9 s left',
  );
  expect(progressLine({ unit: 'events', doneCount: 5, rate: 0 })).toBe('5 events, 0/s');
  expect(
    progressLine({ unit: '', doneCount: 1_048_576, total: 3_145_728, rate: 524_288, format: formatBytes }),
  ).toBe('1.0 MiB of 3.0 MiB, 512.0 KiB/s, 4 s left');
});

test.each([
  [0.2, '1 s'],
  [59, '59 s'],
  [61, '1 min 1 s'],
  [7260, '2 h 1 min'],
])('formatDuration of %d s', (seconds, expected) => {
  expect(formatDuration(seconds)).toBe(expected);
});
