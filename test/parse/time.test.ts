import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { focusOn } from '../../src/encode/bytes.ts';
import { dayNumber, isLeapYear, monthOf, yearOfDay } from '../../src/parse/calendar.ts';
import { guessZone, isPlausibleTime, parseTime, resolveYearless } from '../../src/parse/time.ts';

const RECORD_US = Date.UTC(2024, 4, 1, 12) * 1000;
const HOUR_US = 3_600_000_000;
const DAY_US = 24 * HOUR_US;

/** Parses from the middle of a longer buffer, by words and by bytes: both must give the same. */
function parse(text: string, recordUs = RECORD_US): number {
  const bytes = new Uint8Array(Buffer.from(`99${text}99`));
  const range = { start: 2, end: bytes.length - 2 };
  focusOn(new Uint8Array(0));
  const byBytes = parseTime(bytes, range, recordUs);
  focusOn(bytes);
  const byWords = parseTime(bytes, range, recordUs);
  expect(byWords).toEqual(byBytes);
  return byBytes;
}

function us(iso: string, extra = 0): number {
  return Date.parse(iso) * 1000 + extra;
}

describe('parseTime', () => {
  test.each([
    ['2024-05-01T11:59:59Z', us('2024-05-01T11:59:59Z')],
    ['2024-05-01t11:59:59z', us('2024-05-01T11:59:59Z')],
    ['2024-05-01 11:59:59 UTC', us('2024-05-01T11:59:59Z')],
    ['2024-05-01 11:59:59GMT', us('2024-05-01T11:59:59Z')],
    ['2024/05/01 11:59:59', us('2024-05-01T11:59:59Z')],
    ['2024-05-01T11:59', us('2024-05-01T11:59:00Z')],
    ['2024-05-01T11:59Z', us('2024-05-01T11:59:00Z')],
    ['2024-05-01', us('2024-05-01T00:00:00Z')],
    ['2024-05-01T11:59:59.1Z', us('2024-05-01T11:59:59.1Z')],
    ['2024-05-01T11:59:59,123456Z', us('2024-05-01T11:59:59.123Z', 456)],
    ['2024-05-01T11:59:59.123456789Z', us('2024-05-01T11:59:59.123Z', 456)],
    ['2024-05-01T13:59:59+02:00', us('2024-05-01T11:59:59Z')],
    ['2024-05-01T06:29:59-0530', us('2024-05-01T11:59:59Z')],
    ['2024-05-01T13:59:59 +02', us('2024-05-01T11:59:59Z')],
    ['2024-02-29T23:59:60Z', us('2024-03-01T00:00:00Z')],
    ['10/Oct/2000:13:55:36 -0700', us('2000-10-10T20:55:36Z')],
    ['10/Oct/2000:13:55:36', us('2000-10-10T13:55:36Z')],
    ['1714564799', 1_714_564_799_000_000],
    ['1714564799.1234567', 1_714_564_799_123_456],
    ['1714564799123', 1_714_564_799_123_000],
    ['1714564799123.4567', 1_714_564_799_123_456],
    ['1714564799123456', 1_714_564_799_123_456],
    ['1714564799123456.9', 1_714_564_799_123_456],
    ['1714564799123456789', 1_714_564_799_123_456],
    ['0001714564799', 1_714_564_799_000_000],
    ['0', 0],
    ['-1', -1_000_000],
    ['99999999999', 99_999_999_999_000_000],
  ])('%s', (text, expected) => {
    expect(parse(text)).toBe(expected);
  });

  test.each([
    '',
    '-',
    '.',
    '1.',
    '.5',
    '1e9',
    '12a',
    '123456789012345678901',
    '2024-5-1',
    '2024-05-01T',
    '2024-05-01T11',
    '2024-13-01T00:00:00Z',
    '2024-00-01T00:00:00Z',
    '2023-02-29T00:00:00Z',
    '2024-04-31',
    '2024-05-01T24:00:00Z',
    '2024-05-01T11:60:00Z',
    '2024-05-01T11:59:61Z',
    '2024-05-01T11:59:59.Z',
    '2024-05-01T11:59:59Zz',
    '2024-05-01T11:59:59+2',
    '2024-05-01T11:59:59+25:00',
    '2024-05-01T11:59:59+0260',
    '2024-05-01T11:59:59 ',
    '2024-05/01T11:59:59Z',
    '2024-05-01X11:59:59Z',
    '10/Foo/2000:13:55:36 -0700',
    '99/Oct/2000:13:55:36 -0700',
    'yesterday at noon',
  ])('%s is no time', (text) => {
    expect(parse(text)).toBeNaN();
  });

  test('agrees with Date on every day and time', () => {
    const dates = fc.date({ min: new Date(0), max: new Date('2105-01-01T00:00:00Z'), noInvalidDate: true });
    fc.assert(
      fc.property(dates, (date) => {
        const time = date.getTime() * 1000;
        const late = time + DAY_US;
        expect(parse(date.toISOString(), late)).toBe(time);
        expect(parse(date.toISOString().replace('T', ' ').replace('Z', ''), late)).toBe(time);
        expect(parse(String(Math.floor(time / 1_000_000)), late)).toBe(
          Math.floor(time / 1_000_000) * 1_000_000,
        );
      }),
    );
  });

  test('never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9TZ:+. ,/-]{0,32}$/)), (text) => {
        expect(typeof parse(text)).toBe('number');
      }),
    );
  });
});

describe('guessZone', () => {
  test.each([
    ['an hour ahead stays', HOUR_US, HOUR_US],
    ['two hours ahead was two hours east', 2 * HOUR_US + 1_000_000, 1_000_000],
    ['five and a half, a little late', 5.5 * HOUR_US - 3_000_000, -3_000_000],
    ['quarter hours count', 5.75 * HOUR_US, 0],
    ['no zone is further than fourteen hours', 20 * HOUR_US, 6 * HOUR_US],
    ['the past stays', -7 * HOUR_US, -7 * HOUR_US],
  ])('%s', (_, ahead, expected) => {
    expect(guessZone(RECORD_US + ahead, RECORD_US)).toBe(RECORD_US + expected);
  });

  test('applies only where there is no zone', () => {
    expect(parse('2024-05-01T17:00:00')).toBe(us('2024-05-01T12:00:00Z'));
    expect(parse('2024-05-01T17:00:00Z')).toBe(us('2024-05-01T17:00:00Z'));
  });
});

describe('resolveYearless', () => {
  test.each([
    ['the same day', [5, 1, 3600], '2024-05-01T12:00:00Z', '2024-05-01T01:00:00Z'],
    ['the day before New Year', [12, 31, 86_399], '2024-01-01T00:00:05Z', '2023-12-31T23:59:59Z'],
    ['a day ahead, so a local time', [5, 2, 0], '2024-05-01T12:00:00Z', '2024-05-01T12:00:00Z'],
    ['two days ahead, so last year', [5, 3, 43_200], '2024-05-01T12:00:00Z', '2023-05-03T12:00:00Z'],
    ['New Year east of the record', [1, 1, 3600], '2023-12-31T23:00:00Z', '2023-12-31T23:00:00Z'],
    ['a leap day in a leap year', [2, 29, 0], '2024-03-01T00:00:00Z', '2024-02-29T00:00:00Z'],
    ['a leap day after one', [2, 29, 0], '2027-03-01T00:00:00Z', '2024-02-29T00:00:00Z'],
    ['a leap day across a century', [2, 29, 0], '2103-12-01T00:00:00Z', '2096-02-29T00:00:00Z'],
  ])('%s', (...row) => {
    const [, [month = 0, day = 0, seconds = 0], record, expected] = row;
    expect(resolveYearless(month, day, seconds, us(record))).toBe(us(expected));
  });

  test.each([
    [2, 30],
    [0, 1],
    [13, 1],
    [4, 31],
  ])('month %i, day %i is never', (month, day) => {
    expect(resolveYearless(month, day, 0, RECORD_US)).toBeNaN();
  });
});

test('isPlausibleTime: from 1970 to an hour past the record', () => {
  const times = [-1, 0, RECORD_US + HOUR_US, RECORD_US + HOUR_US + 1, Number.NaN];
  expect(times.map((time) => isPlausibleTime(time, RECORD_US))).toEqual([false, true, true, false, false]);
});

describe('calendar', () => {
  test('day numbers agree with Date for four centuries', () => {
    for (let day = -60_000; day < 90_000; day += 1) {
      const date = new Date(day * 86_400_000);
      const year = date.getUTCFullYear();
      expect(dayNumber(year, date.getUTCMonth() + 1, date.getUTCDate())).toBe(day);
      expect(yearOfDay(day)).toBe(year);
    }
    expect([1900, 2000, 2023, 2024].map(isLeapYear)).toEqual([false, true, false, true]);
  });

  test('months by name in any case', () => {
    const text = new Uint8Array(Buffer.from('janFEBxxxDecde'));
    expect([0, 3, 6, 9, 12].map((at) => monthOf(text, at))).toEqual([1, 2, 0, 12, 0]);
  });
});
