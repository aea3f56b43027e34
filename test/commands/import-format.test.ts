import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createCutter, detectFormat } from '../../src/commands/import-format.ts';

describe('detectFormat', () => {
  test.each([
    ['{"a":1}\n{"a":2}\n', 'ndjson'],
    ['{"a":1}', 'ndjson'],
    ['{\n  "a": 1\n}\n', 'json'],
    ['[{"a":1}]', 'json'],
    ['\n [\n {"a":1}', 'json'],
    ['[', 'json'],
    ['[2025-06-01 12:00:00] started\n', 'text'],
    ['[error] no\n', 'text'],
    ['Jun  1 12:00:00 web-01 sshd[1]: x\n', 'text'],
    ['', 'text'],
  ] as const)('of %j is %s', (beginning, expected) => {
    expect(detectFormat(beginning)).toBe(expected);
  });
});

function cut(format: 'json' | 'ndjson' | 'text', pieces: readonly string[]): string[] {
  const cutter = createCutter(format);
  return [...pieces.flatMap((piece) => cutter.push(piece)), ...cutter.end()];
}

describe('cutter', () => {
  test('cuts lines wherever the pieces end, without their line breaks', () => {
    expect(cut('text', ['a\r', '\nb', 'c\n', '\nlast'])).toEqual(['a', 'bc', '', 'last']);
  });

  test('cuts values of arrays and of pretty-printed JSON', () => {
    expect(cut('json', ['[{"a":"}]"},\n{"b":\n[1,{"c":"\\""}]}]'])).toEqual([
      '{"a":"}]"}',
      '{"b": [1,{"c":"\\""}]}',
    ]);
  });

  test('makes a record of what is no object, so that it is refused and not lost', () => {
    expect(cut('json', ['[1, {"a":1} oops "x"] {"b":'])).toEqual(['1', '{"a":1}', 'oops', '"x"', '{"b":']);
  });

  test('gives every value back however the text is cut into pieces', () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(
        fc.array(object),
        fc.integer({ min: 1, max: 7 }),
        fc.boolean(),
        (values, size, isPretty) => {
          const text = JSON.stringify(values, undefined, isPretty ? 2 : 0);
          const pieces = text.match(new RegExp(`[\\s\\S]{1,${size}}`, 'g')) ?? [];
          const records = cut('json', pieces);
          expect(records.every((record) => !record.includes('\n'))).toBe(true);
          expect(records.map((record) => JSON.parse(record))).toEqual(JSON.parse(JSON.stringify(values)));
        },
      ),
    );
  });
});
