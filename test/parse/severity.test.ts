import { describe, expect, test } from 'vitest';
import { focusOn } from '../../src/encode/bytes.ts';
import {
  LEVEL_NAMES,
  levelIndexOf,
  severityOfName,
  severityOfNumericLevel,
  severityOfSyslog,
} from '../../src/parse/severity.ts';

/** Reads by words and by bytes. */
function severity(name: string): number {
  const bytes = new Uint8Array(Buffer.from(`<${name}>`));
  const range = { start: 1, end: bytes.length - 1 };
  focusOn(new Uint8Array(0));
  const byBytes = severityOfName(bytes, range);
  focusOn(bytes);
  expect(severityOfName(bytes, range)).toBe(byBytes);
  return byBytes;
}

describe('severityOfName', () => {
  test.each([
    ['trace', 1],
    ['DEBUG', 5],
    ['dbg', 5],
    ['Info', 9],
    ['information', 9],
    ['INFORMATIONAL', 9],
    ['notice', 10],
    ['warn', 13],
    ['Warning', 13],
    ['err', 17],
    ['eRRor', 17],
    ['crit', 18],
    ['alert', 19],
    ['critical', 21],
    ['emerg', 21],
    ['panic', 21],
    ['fatal', 21],
    ['info2', 10],
    ['FATAL4', 24],
    ['trace4', 4],
    ['', 0],
    ['inf0', 0],
    ['infos', 0],
    ['debu', 0],
    ['errOs', 0],
    ['30', 0],
    ['high', 0],
    ['a name that is too long', 0],
  ])('%s', (name, expected) => {
    expect(severity(name)).toBe(expected);
  });
});

test('levels are ranges of four numbers', () => {
  const names = [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25].map((number) =>
    Buffer.from(LEVEL_NAMES[levelIndexOf(number)] ?? []).toString(),
  );
  expect(names).toEqual([
    '',
    'TRACE',
    'TRACE',
    'DEBUG',
    'DEBUG',
    'INFO',
    'INFO',
    'WARN',
    'WARN',
    'ERROR',
    'ERROR',
    'FATAL',
    'FATAL',
    '',
  ]);
});

test('syslog severities follow OpenTelemetry', () => {
  expect([0, 1, 2, 3, 4, 5, 6, 7, 8, -1].map(severityOfSyslog)).toEqual([21, 19, 18, 17, 13, 10, 9, 5, 0, 0]);
});

test('numeric levels: syslog below ten, bunyan and pino by tens', () => {
  const levels = [0, 3, 7, 8, 10, 20, 30, 35, 40, 50, 60, 70, -1, 400];
  expect(levels.map(severityOfNumericLevel)).toEqual([21, 17, 5, 0, 1, 5, 9, 9, 13, 17, 21, 0, 0, 0]);
});
