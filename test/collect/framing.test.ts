import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_FILTERED_RECORDS } from '../../src/collect/body-batches.ts';
import { frameBodies } from '../../src/collect/framing.ts';
import { unframedOutcome } from '../../src/pipeline/open-body.ts';
import type { BodyFormat, FrameBody } from '../../src/pipeline/parse-protocol.ts';
import { walkBatches } from '../support/walk-batches.ts';

const TIME = 1_790_000_000_000;

/** A body that lies inside larger memory whose other bytes must not be read. */
function bodyOf(content: string | Uint8Array, format: BodyFormat, receivedMs = TIME): FrameBody {
  const bytes = Buffer.from(content);
  const memory = new SharedArrayBuffer(bytes.length + 20);
  const view = new Uint8Array(memory).fill(0x0a);
  view.set(bytes, 10);
  return { memory, start: 10, length: bytes.length, format, receivedMs };
}

function frame(content: string | Uint8Array, format: BodyFormat) {
  const result = frameBodies({ kind: 'frame', bodies: [bodyOf(content, format)] });
  const walked = walkBatches(new Uint8Array(result.batches));
  expect(walked.faults).toEqual([]);
  expect(walked.records).toHaveLength(result.recordCount);
  const body = result.bodies[0]!;
  return {
    records: walked.records.map((record) => Buffer.from(record.value ?? '', 'latin1').toString()),
    positions: body.positions === undefined ? undefined : [...body.positions],
    error: body.error,
  };
}

describe('lines', () => {
  const cases: readonly (readonly [string, string, readonly string[], readonly number[] | undefined])[] = [
    ['one line', 'a', ['a'], undefined],
    ['a last line feed', 'a\nb\n', ['a', 'b'], undefined],
    ['CRLF', 'a\r\nb\r\n', ['a', 'b'], undefined],
    ['CR inside a line stays', 'a\rb\r\r\n', ['a\rb\r'], undefined],
    ['blank lines', '\na\n\n \t\r\nb\n', ['a', 'b'], [2, 5]],
    ['blank lines at the end', 'a\nb\n\n', ['a', 'b'], [1, 2]],
    ['spaces around text stay', '  a  \n', ['  a  '], undefined],
    ['nothing', '', [], undefined],
    ['only blank lines', '\n \r\n\n', [], []],
    ['a byte order mark', '\ufeffa\nb', ['a', 'b'], undefined],
    ['a byte order mark alone', '\ufeff', [], undefined],
    ['non-ASCII text', 'größe\n日本\n', ['größe', '日本'], undefined],
    ['NUL', 'a\0b\n\0\n', ['a\0b', '\0'], undefined],
  ];
  for (const format of ['ndjson', 'text'] as const) {
    test.each(cases)(`${format}: %s`, (...[, content, records, positions]) => {
      expect(frame(content, format)).toEqual({ records, positions, error: undefined });
    });
  }

  test('any text gives the lines that splitting it gives', () => {
    const texts = fc.array(fc.constantFrom('a', '\n', '\r', ' ', '\t', '{"x":1}', 'é', '\r\n'), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(texts, (parts) => {
        const lines = parts
          .join('')
          .split('\n')
          .map((line, index) => ({ text: line.endsWith('\r') ? line.slice(0, -1) : line, line: index + 1 }))
          .filter(({ text }) => /[^ \t\r]/.test(text));
        const { records, positions } = frame(parts.join(''), 'text');
        expect(records).toEqual(lines.map(({ text }) => text));
        expect(positions ?? records.map((_, index) => index + 1)).toEqual(lines.map(({ line }) => line));
      }),
      { numRuns: 500 },
    );
  });
});

describe('json', () => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ['an object', '{"a":1}', ['{"a":1}']],
    ['space around it', ' \r\n\t{"a":1}\n', ['{"a":1}']],
    ['a byte order mark', '\ufeff{"a":1}', ['{"a":1}']],
    ['nothing', ' \n ', []],
    ['an array', '[{"a":1},{"b":2}]', ['{"a":1}', '{"b":2}']],
    ['an array with space', ' [ {"a":1} ,\n {"b":2} ] ', ['{"a":1}', '{"b":2}']],
    ['an empty array', '[ ]', []],
    ['brackets in strings', '[{"a":"]},{["},{"b":"[{"}]', ['{"a":"]},{["}', '{"b":"[{"}']],
    ['escaped quotes', '[{"a":"\\"]\\\\"},{"b":"\\\\\\""}]', ['{"a":"\\"]\\\\"}', '{"b":"\\\\\\""}']],
    ['nesting', '[{"a":[[{"b":{}}]]},[1,[2]]]', ['{"a":[[{"b":{}}]]}', '[1,[2]]']],
    [
      'elements that are no objects',
      '[1, "x,]" ,null,-2.5e3,true]',
      ['1', '"x,]"', 'null', '-2.5e3', 'true'],
    ],
    ['objects one after the other', '{"a":1}{"b":2}\n{"c":3}', ['{"a":1}', '{"b":2}', '{"c":3}']],
    ['arrays and objects', '[{"a":1}]{"b":2}[]', ['{"a":1}', '{"b":2}']],
    ['a scalar', '42', ['42']],
    ['an object cut short is one record', '{"a":1}{"b":', ['{"a":1}', '{"b":']],
    ['a string cut short is one record', '"abc', ['"abc']],
    ['text that is no JSON is cut at spaces', 'no json', ['no', 'json']],
    ['stray brackets', '}]', ['}', ']']],
  ];
  test.each(cases)('%s', (_name, content, records) => {
    expect(frame(content, 'json')).toEqual({ records, positions: undefined, error: undefined });
  });

  test.each([
    ['not closed', '['],
    ['not closed behind an element', '[{"a":1}'],
    ['not closed behind a comma', '[{"a":1},'],
    ['an element cut short', '[{"a":1},{"b":'],
    ['a string cut short', '["abc'],
    ['a string that ends in an escape', '["abc\\'],
    ['a comma too many', '[1,]'],
    ['only a comma', '[,]'],
    ['two commas', '[1,,2]'],
    ['no comma', '[{"a":1}{"b":2}]'],
    ['a wrong bracket', '[1}'],
    ['a colon', '["a":1]'],
    ['a broken array behind a sound one', '[1][2'],
  ])('a broken array gives no record at all: %s', (_name, content) => {
    const { records, error } = frame(content, 'json');
    expect(records).toEqual([]);
    expect(error).toMatchObject({ reason: 'malformed_json' });
    expect(error?.detail).toMatch(/ at byte \d+$/);
  });

  test('any array of any values gives its elements', () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue(), { maxLength: 12 }),
        fc.constantFrom(undefined, 1),
        (values, indent) => {
          const { records, error } = frame(JSON.stringify(values, null, indent), 'json');
          expect(error).toBeUndefined();
          expect(records.map((record): unknown => JSON.parse(record))).toEqual(
            values.map((value): unknown => JSON.parse(JSON.stringify(value))),
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  test('nesting as deep as the body is no problem', () => {
    const deep = `[${'['.repeat(500_000)}${']'.repeat(500_000)}]`;
    expect(frame(deep, 'json').records).toHaveLength(1);
    expect(frame('['.repeat(500_000), 'json').error).toMatchObject({ reason: 'malformed_json' });
  });

  test('random bytes never throw', () => {
    const alphabet = fc.constantFrom('[', ']', '{', '}', ',', ':', '"', '\\', ' ', '\n', '1', 'a', '\u00ff');
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 60 }), (characters) => {
        const { records, error } = frame(Buffer.from(characters.join(''), 'latin1'), 'json');
        expect(error === undefined || records.length === 0).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('several bodies', () => {
  test('offsets go on from body to body, and each body keeps its time', () => {
    const bodies = [
      bodyOf('{"a":1}\n{"a":2}', 'ndjson', TIME),
      bodyOf('[', 'json', TIME + 1),
      bodyOf('', 'text', TIME + 2),
      bodyOf('[{"a":3}]', 'json', TIME + 3),
    ];
    const result = frameBodies({ kind: 'frame', bodies });
    expect(result.recordCount).toBe(3);
    expect(result.bodies.map((body) => [body.recordCount, body.error?.reason])).toEqual([
      [2, undefined],
      [0, 'malformed_json'],
      [0, undefined],
      [1, undefined],
    ]);
    const { records } = walkBatches(new Uint8Array(result.batches));
    expect(records.map(({ offset, timestampMs, value }) => [offset, timestampMs, value])).toEqual([
      [0, TIME, '{"a":1}'],
      [1, TIME, '{"a":2}'],
      [2, TIME + 3, '{"a":3}'],
    ]);
  });

  test('the memory of the result is its own', () => {
    const first = frameBodies({ kind: 'frame', bodies: [bodyOf('first', 'text')] });
    const before = Buffer.from(first.batches.slice(0));
    frameBodies({ kind: 'frame', bodies: [bodyOf('second', 'text')] });
    expect(Buffer.compare(Buffer.from(first.batches), before)).toBe(0);
    expect(structuredClone(first, { transfer: [first.batches] }).batches.byteLength).toBe(before.length);
  });
});

describe('a scope', () => {
  const SCOPE = { services: ['web'], environments: ['prod', ''] };

  function frameScoped(content: string, format: BodyFormat) {
    const body = { ...bodyOf(content, format), scope: SCOPE };
    const result = frameBodies({ kind: 'frame', bodies: [body, bodyOf('{"service":"db"}', 'ndjson')] });
    const { records } = walkBatches(new Uint8Array(result.batches));
    const framed = result.bodies[0]!;
    // The body behind has no scope.
    expect(records).toHaveLength(framed.recordCount + 1);
    return {
      records: records.slice(0, framed.recordCount).map(({ value }) => value),
      positions: framed.positions === undefined ? undefined : [...framed.positions],
      outOfScope: framed.outOfScope,
    };
  }

  test('keeps records out by the form that is stored, and keeps the lines of the others', () => {
    const lines: readonly (readonly [line: string, isKept: boolean])[] = [
      ['{"service":"web","message":"a"}', true],
      ['{"service":"db","message":"web"}', false],
      ['{"service":"w\\u0065b"}', true],
      ['{"app":"web"}', true],
      ['{"app":"db"}', false],
      ['{"service":"Web"}', false],
      ['{"service":"web ","environment":"prod"}', false],
      ['{"service":"web","environment":"dev"}', false],
      ['{"service":"web","env":"prod"}', true],
      ['{"message":"nobody"}', false],
      [`{"service":"${'x'.repeat(10_000)}"}`, false],
      ['plain text', false],
      // What is no event becomes a dead letter, as everybody's.
      ['{"service":"db"', true],
    ];
    const places = lines.map(([line, isKept], i) => ({ line, isKept, at: i + 1 }));
    const kept = places.filter(({ isKept }) => isKept);
    const refused = places.filter(({ isKept }) => !isKept).map(({ at }) => at);
    expect(frameScoped(lines.map(([line]) => line).join('\n'), 'ndjson')).toEqual({
      records: kept.map(({ line }) => line),
      positions: kept.map(({ at }) => at),
      outOfScope: { count: refused.length, positions: refused },
    });
  });

  test('counts blank lines and elements of arrays', () => {
    expect(frameScoped('\n{"service":"db"}\n\n{"service":"web"}\n', 'ndjson')).toMatchObject({
      positions: [4],
      outOfScope: { count: 1, positions: [2] },
    });
    expect(frameScoped('[{"service":"web"},{"service":"db"},{"service":"web"}]', 'json')).toMatchObject({
      positions: [1, 3],
      outOfScope: { count: 1, positions: [2] },
    });
  });

  test('may keep everything out, and lists only the first', () => {
    const body = '{"service":"db"}\n'.repeat(3000);
    const framed = frameScoped(body, 'ndjson');
    expect(framed).toMatchObject({ records: [], positions: [], outOfScope: { count: 3000 } });
    expect(framed.outOfScope?.positions).toHaveLength(1000);
    expect(frameScoped('{"service":"web"}', 'ndjson')).toMatchObject({
      positions: undefined,
      outOfScope: undefined,
    });
  });

  test('judges each of many records by itself, long ones and letters between them', () => {
    const services = ['web', 'db', 'wob', ''];
    const lines = Array.from({ length: 1500 }, (_, i) => {
      if (i % 7 === 3) return '{"service":"db"';
      const message = 'm'.repeat(i % 50 === 0 ? 20_000 : i % 9);
      return JSON.stringify({ service: services[i % 4], message, [`key${i % 300}`]: i });
    });
    const places = lines.map((line, i) => ({ line, at: i + 1, isKept: i % 7 === 3 || i % 4 === 0 }));
    const refused = places.filter(({ isKept }) => !isKept).map(({ at }) => at);
    const framed = frameScoped(lines.join('\n'), 'ndjson');
    expect(framed.positions).toEqual(places.filter(({ isKept }) => isKept).map(({ at }) => at));
    expect(framed.outOfScope).toEqual({ count: refused.length, positions: refused.slice(0, 1000) });
  });

  test.each([
    ['text', 'a\n', ''],
    ['ndjson', '{"service":"web"}\n', ''],
    ['json', '1,', '1]'],
  ] as const)('bounds the records that are judged: %s', (format, record, last) => {
    const start = format === 'json' ? '[' : '';
    const full = last === '' ? MAX_FILTERED_RECORDS : MAX_FILTERED_RECORDS - 1;
    const fits = frameScoped(`${start}${record.repeat(full)}${last}`, format);
    expect(fits.records.length + (fits.outOfScope?.count ?? 0)).toBe(MAX_FILTERED_RECORDS);
    const body = { ...bodyOf(`${start}${record.repeat(full + 1)}${last}`, format), scope: SCOPE };
    const result = frameBodies({ kind: 'frame', bodies: [body, bodyOf('{"service":"db"}', 'ndjson')] });
    const [framed, next] = result.bodies;
    expect(framed).toMatchObject({ recordCount: 0, batchBytes: 0 });
    expect(next?.recordCount).toBe(1);
    expect(walkBatches(new Uint8Array(result.batches)).records).toHaveLength(1);
    expect(unframedOutcome(framed!)).toEqual({
      kind: 'failed',
      code: 'unprocessable',
      message: 'A body of a sender with a scope holds at most 100000 records: send it in parts.',
    });
    // Nobody else is held to it.
    expect(frame(`${start}${record.repeat(full + 1)}${last}`, format).records).toHaveLength(
      MAX_FILTERED_RECORDS + 1,
    );
  });
});
