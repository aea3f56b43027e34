import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createCutter, detectFormat, isDetectable } from '../../src/commands/import-format.ts';

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
    ['{bad\n{"message":"good1"}\n{"message":"good2"}\n', 'ndjson'],
    ['{"message":"cut\n{"message":"good"}\n', 'ndjson'],
    ['{"a":1,\r\n\r\n{"message":"good"}\r\n', 'ndjson'],
    ['{"a":1}}\n{"message":"good"}\n', 'ndjson'],
    ['{"a": {\n    "b": "{\\""\n', 'json'],
    ['{"a": [\n{"b":1},\n{"b":2}]}', 'json'],
  ] as const)('of %j is %s', (beginning, expected) => {
    expect(detectFormat(beginning)).toBe(expected);
  });

  test.each([
    ['{"a":1}\n', true],
    ['text\n', true],
    ['{bad\n', true],
    ['[\n', true],
    ['{"a":1}', false],
    ['{"a":1,\n', false],
    ['{"a":1,\n\n{"b"', false],
    ['{"a":1,\n\n{"b":2}\n', true],
  ])('%j is enough to tell: %s', (beginning, expected) => {
    expect(isDetectable(beginning)).toBe(expected);
  });
});

function cut(format: 'json' | 'ndjson' | 'text', pieces: readonly string[]): string[] {
  const cutter = createCutter(format);
  return [...pieces.flatMap((piece) => cutter.push(piece)), ...cutter.end()];
}

const UNCLOSED = expect.stringContaining('not closed');

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

  test.each([
    ['[{"a":1},{"b":2},3', UNCLOSED],
    ['[{"a":1},{"b":', UNCLOSED],
    ['[{"a":"]"}]\n', undefined],
    ['[[{"a":1}],[]]', undefined],
    ['{"a":[1', undefined],
  ])('what is missing at the end of %j is told: %s', (text, problem) => {
    const cutter = createCutter('json');
    cutter.push(text);
    cutter.end();
    expect(cutter.problem).toEqual(problem);
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
