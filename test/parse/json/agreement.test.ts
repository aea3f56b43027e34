/* oxlint-disable vitest/expect-expect -- expectAgreement asserts */
/** The fast path and the slow path give the same event for whatever bytes there are, and neither throws. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KNOWN_NAMES } from '../../../src/parse/json/fields.ts';
import { JsonHarness } from '../../support/json-event.ts';

const RUNS = 4000;
const harness = new JsonHarness();

/** Both paths on the same bytes; the fast one may hand over to the slow one. */
function expectAgreement(record: string | Uint8Array, suffix?: string): void {
  const options = suffix === undefined ? {} : { suffix };
  const fast = harness.parse(record, options);
  const slow = harness.parse(record, { ...options, isSlowOnly: true });
  expect({ outcome: fast.outcome, event: fast.event }).toEqual({ outcome: slow.outcome, event: slow.event });
}

const hostileText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom(
    '',
    '\0',
    '__proto__',
    'constructor',
    'a"b\\c/d\b\f\n\r\t',
    '\ud800',
    '\udc00\ud800',
    '😀',
    'é'.repeat(70),
    'x'.repeat(130),
    'y'.repeat(700),
    'NaN',
    '1e999',
    '-',
  ),
);

const values = fc.constantFrom(
  'INFO',
  'warning',
  'Error2',
  'high',
  '10.1.2.3',
  '::1',
  '1.2.3',
  '443',
  '70000',
  '2024-05-01T11:59:59.123456Z',
  '2024-05-01 10:00:00,5+02:00',
  '2031-01-01T00:00:00Z',
  '10/Oct/2000:13:55:36 -0700',
  '1714564799.25',
  'garbage',
);

const numberText = fc.oneof(
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.bigInt({ min: 0n, max: 1n << 66n }).map(String),
  fc.constantFrom(
    '0',
    '-0',
    '1e3',
    '1E-7',
    '12.50',
    '01',
    '1.',
    '.5',
    '-',
    'NaN',
    '-Infinity',
    '1714564799123',
    '30',
  ),
);

const topNames = [
  'timestamp',
  'level',
  'service',
  'message',
  'host',
  'metadata',
  'threats',
  'user',
  'source_ip',
];
const key = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...topNames) },
  { weight: 3, arbitrary: fc.constantFrom(...KNOWN_NAMES.map(({ path }) => path)) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'a',
      'b',
      'a.b',
      'metadata.a',
      'k'.repeat(126),
      'k'.repeat(64),
      'name',
      'severity',
      'tags',
      'ip',
      'http',
    ),
  },
  { weight: 1, arbitrary: hostileText },
);

const space = fc.constantFrom('', '', '', ' ', '\n\t ', '\r\n');

/** JSON text, mostly valid, with all freedom of order, repetition and white space. */
const { json } = fc.letrec<{ json: string; object: string; array: string; threat: string }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 4, arbitrary: fc.oneof(values, hostileText).map((text) => JSON.stringify(text)) },
    { weight: 3, arbitrary: numberText },
    {
      weight: 2,
      arbitrary: fc.constantFrom('null', 'true', 'false', '""', '[]', '{}', '"\\u0041\\ud83d\\ude00"'),
    },
    { weight: 3, arbitrary: tie('object') },
    { weight: 2, arbitrary: tie('array') },
  ),
  object: fc
    .tuple(fc.array(fc.tuple(key, space, tie('json'), space), { maxLength: 6 }), space)
    .map(([members, gap]) => {
      const text = members.map(
        ([name, before, value, after]) => `${JSON.stringify(name)}${after}:${before}${value}${after}`,
      );
      return `{${gap}${text.join(`,${gap}`)}}`;
    }),
  array: fc
    .tuple(fc.array(fc.oneof(tie('json'), tie('threat')), { maxLength: 4 }), space)
    .map(([items, gap]) => `[${gap}${items.join(`${gap},`)}${gap}]`),
  threat: fc
    .record({
      name: hostileText,
      severity: fc.constantFrom('low', 'HIGH', 'é'),
      tags: fc.array(hostileText, { maxLength: 3 }),
    })
    .map((threat) => JSON.stringify(threat)),
}));

const record = fc
  .array(fc.tuple(key, json), { maxLength: 12 })
  .map((members) => `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`);

/** Events as programs write them: no name twice, values of the right kind, in varying order and from few values. */
const label = fc.constantFrom(
  'a',
  'ab',
  'abc',
  'web-01',
  'web-011',
  'payments',
  'payments-2',
  'payments-22',
  'größe',
  'x"y',
);
const members = fc.record(
  {
    timestamp: fc.constantFrom(
      '2024-05-01T11:59:59.123456Z',
      '2024-05-01T11:59:58Z',
      '2024-05-01 11:58:00,25',
    ),
    level: fc.constantFrom('info', 'INFO', 'Warn', 'error', 'debug', 'notice', 'odd one', 30),
    service: label,
    host: label,
    message: hostileText,
    user: label,
    source_ip: fc.constantFrom('10.0.0.1', '2001:db8::1'),
    pid: fc.nat(),
    cpu_usage: fc.double({ noNaN: true, noDefaultInfinity: true }),
    memory_usage: fc.record({
      used: fc.maxSafeNat(),
      total: fc.maxSafeNat(),
      percentage: fc.float({ noNaN: true, noDefaultInfinity: true }),
    }),
    threats: fc.array(fc.record({ name: label, severity: label, tags: fc.array(label) }), { maxLength: 2 }),
    metadata: fc.record(
      {
        environment: label,
        trace_id: label,
        outcome: label,
        region: label,
        seq: fc.nat(),
        list: fc.array(label),
        deep: fc.record({ er: label }),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);
const usual = fc
  .tuple(members, fc.boolean(), fc.constantFrom(undefined, undefined, 1))
  .map(([event, isReversed, indent]) =>
    JSON.stringify(
      isReversed ? Object.fromEntries(Object.entries(event).toReversed()) : event,
      undefined,
      indent,
    ),
  );

describe('fast and slow path agree', () => {
  test('on objects of known and unknown names, aliases, repeated names and odd values', () => {
    fc.assert(
      fc.property(record, (text) => expectAgreement(text)),
      { numRuns: RUNS },
    );
  });

  test('on the same few names again and again, with nulls, empty values and metadata of the same names', () => {
    const few = fc.constantFrom(
      'host',
      'hostname',
      'user',
      'a',
      'level',
      'severity_number',
      'ts',
      'time',
      'pid',
    );
    const value = fc.constantFrom(
      'null',
      '""',
      '"x"',
      '"info"',
      '"odd"',
      '14',
      '"1714564799"',
      '{"name":"n"}',
      '[]',
    );
    const metadata = fc
      .array(fc.tuple(few, value), { maxLength: 3 })
      .map((members) => `{${members.map(([name, text]) => `"${name}":${text}`).join(',')}}`);
    const member = fc.oneof(
      { weight: 4, arbitrary: fc.tuple(few, value) },
      { weight: 1, arbitrary: fc.tuple(fc.constantFrom('metadata', 'meta'), metadata) },
    );
    const dense = fc
      .array(member, { maxLength: 5 })
      .map((members) => `{${members.map(([name, text]) => `"${name}":${text}`).join(',')}}`);
    fc.assert(
      fc.property(dense, (text) => expectAgreement(text)),
      { numRuns: RUNS },
    );
  });

  test('on any JSON-like text', () => {
    fc.assert(
      fc.property(json, (text) => expectAgreement(text)),
      { numRuns: RUNS / 4 },
    );
  });

  test('on truncated records', () => {
    const cut = fc.tuple(record, fc.nat()).map(([text, at]) => {
      const bytes = Buffer.from(text);
      return bytes.subarray(0, at % (bytes.length + 1));
    });
    const suffix = fc.constantFrom('}', '"}', ':1}', ',"x":1}', '0}', 'rue}', ']}', '"a"}}');
    fc.assert(fc.property(cut, suffix, expectAgreement), { numRuns: RUNS });
  });

  test('on records with bytes changed, invalid UTF-8 and control characters included', () => {
    const changed = fc
      .tuple(
        record,
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
      )
      .map(([text, changes]) => {
        const bytes = Uint8Array.from(Buffer.from(text));
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(changed, (bytes) => expectAgreement(bytes)),
      { numRuns: RUNS },
    );
  });

  test('on text of any UTF-8 and what is nearly UTF-8', () => {
    const edge = fc.constantFrom(
      0x41,
      0x7f,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc0,
      0xc1,
      0xc2,
      0xdf,
      0xe0,
      0xe1,
    );
    const lead = fc.constantFrom(0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff);
    const bytes = fc.array(fc.oneof(edge, edge, lead), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(bytes, (text) => {
        expectAgreement(Buffer.concat([Buffer.from('{"message":"'), Buffer.from(text), Buffer.from('"}')]));
      }),
      { numRuns: RUNS },
    );
  });

  test('on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => expectAgreement(bytes)),
      { numRuns: RUNS / 4 },
    );
  });

  test('on more different keys than the key table holds', () => {
    for (let round = 0; round < 12; round += 1) {
      const members = Array.from(
        { length: 700 },
        (_, index) => `"key${round * 650 + index}":{"inner${index % 3}":${index}}`,
      );
      expectAgreement(`{${members.join(',')}}`);
    }
  });

  test('on records that follow one another in one block, most of which take the fast path', () => {
    let recordCount = 0;
    let slowCount = 0;
    fc.assert(
      fc.property(
        fc.array(fc.oneof(usual, usual, usual, record), { minLength: 2, maxLength: 12 }),
        (records) => {
          const batch = [...records, ...records.toReversed()];
          const fast = harness.parseBatch(batch);
          const slow = harness.parseBatch(batch, { isSlowOnly: true });
          expect({ outcomes: fast.outcomes, events: fast.events }).toEqual({
            outcomes: slow.outcomes,
            events: slow.events,
          });
          recordCount += batch.length;
          slowCount += fast.slowCount;
        },
      ),
      { numRuns: RUNS / 4 },
    );
    expect(slowCount / recordCount).toBeLessThan(0.6);
    expect(slowCount).toBeGreaterThan(0);
  });
});
