import { expect, test } from 'vitest';
import type { LogsQuery } from '../../src/api/logs/logs-sql.ts';
import { windowsOf } from '../../src/api/logs/page-windows.ts';

const NOW = 1_800_000_000e6;
const DAY = 86_400e6;
const base: LogsQuery = {
  scope: {},
  filter: new URLSearchParams(),
  fromUs: undefined,
  toUs: undefined,
  order: 'desc',
  cursor: undefined,
  limit: 100,
};

function cursorAt(timestampUs: number, direction: 'next' | 'prev' = 'next'): LogsQuery['cursor'] {
  const position = { timestampUs, source: 1, partition: 0, offset: 0 };
  return { direction, position, fromUs: undefined, toUs: undefined };
}

test('the newest are looked for in the last second, minute and hour, the future included, and then everywhere', () => {
  expect(windowsOf(base, NOW)).toEqual([
    { fromUs: NOW - 1e6, toUs: undefined },
    { fromUs: NOW - 60e6, toUs: NOW - 1e6 },
    { fromUs: NOW - 3600e6, toUs: NOW - 60e6 },
    { fromUs: undefined, toUs: NOW - 3600e6 },
  ]);
});

test('the range of the query bounds them, and the cursor is where they begin', () => {
  const short = { ...base, fromUs: NOW - 30e6, toUs: NOW };
  expect(windowsOf(short, NOW)).toEqual([
    { fromUs: NOW - 1e6, toUs: NOW },
    { fromUs: NOW - 30e6, toUs: NOW - 1e6 },
  ]);
  const past = { ...base, cursor: cursorAt(NOW - DAY), toUs: NOW };
  expect(windowsOf(past, NOW)[0]).toEqual({ fromUs: NOW - DAY - 1e6, toUs: NOW });
  const ancient = { ...base, toUs: 500_000 };
  expect(windowsOf(ancient, NOW)).toEqual([{ fromUs: undefined, toUs: 500_000 }]);
});

test('the oldest are looked for from the beginning on, where there is one', () => {
  const asc = { ...base, order: 'asc' } as const;
  expect(windowsOf(asc, NOW)).toEqual([{ fromUs: undefined, toUs: undefined }]);
  expect(windowsOf({ ...asc, fromUs: NOW - DAY, toUs: NOW }, NOW)).toEqual([
    { fromUs: NOW - DAY, toUs: NOW - DAY + 1e6 },
    { fromUs: NOW - DAY + 1e6, toUs: NOW - DAY + 60e6 },
    { fromUs: NOW - DAY + 60e6, toUs: NOW - DAY + 3600e6 },
    { fromUs: NOW - DAY + 3600e6, toUs: NOW },
  ]);
  const back = { ...base, cursor: cursorAt(NOW - DAY, 'prev') };
  expect(windowsOf(back, NOW)[0]).toEqual({ fromUs: undefined, toUs: NOW - DAY + 1e6 });
});
