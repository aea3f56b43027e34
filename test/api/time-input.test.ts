/** Times as clients write them. */
import { describe, expect, it } from 'vitest';
import { formatTime, parseTime } from '../../src/api/time-input.ts';

const NOW_MS = Date.parse('2026-03-01T00:00:00.500Z');

describe('time input', () => {
  it.each([
    ['now', '2026-03-01T00:00:00.500000Z'],
    ['now-15m', '2026-02-28T23:45:00.500000Z'],
    ['now-1d', '2026-02-28T00:00:00.500000Z'],
    ['now+2w', '2026-03-15T00:00:00.500000Z'],
    ['2024-02-29T23:59:59Z', '2024-02-29T23:59:59.000000Z'],
    ['2026-01-01T00:00:00.1234567+02:30', '2025-12-31T21:30:00.123456Z'],
    ['2026-01-01T00:00:00 02:30', '2025-12-31T21:30:00.000000Z'],
    ['1969-12-31t23:59:59.000001z', '1969-12-31T23:59:59.000001Z'],
  ])('reads %s', (text, expected) => {
    expect(formatTime(parseTime('from', text, NOW_MS))).toBe(expected);
  });

  it.each([
    '',
    'now-',
    'now-5y',
    'now-9999999999s',
    'now-999999999w',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-01-01T00:00:00',
    '2026-01-01',
    '1767225600',
    '0001-01-01T00:00:00Z',
  ])('refuses %j', (text) => {
    expect(() => parseTime('from', text, NOW_MS)).toThrow(/^from must be a time/);
  });
});
