/** What JSON becomes, rule by rule (docs/decisions/001-event-shape.md). */
import { describe, expect, test } from 'vitest';
import { EventFlag } from '../../../src/event/columns.ts';
import { JsonHarness, RECORD_TIME_US } from '../../support/json-event.ts';

const harness = new JsonHarness();
const RECORD_TIME = '2024-05-01T12:00:00.000000Z';
const TIME = '2024-05-01T11:59:59.123456Z';

/** Event of a record with a time, without the time. */
function eventOf(record: object | string): Record<string, unknown> {
  const text = typeof record === 'string' ? record : JSON.stringify({ timestamp: TIME, ...record });
  const { event, outcome } = harness.parse(text);
  expect(outcome).toBe('event');
  const { timestamp: _, ...rest } = event ?? {};
  return rest;
}

describe('collisions', () => {
  test.each([
    [
      'the name listed first wins, in either order',
      { hostname: 'b', host: 'a' },
      { host: 'a', metadata: [['hostname', 'b']] },
    ],
    [
      'a value that does not fit makes room',
      { src_ip: '10.0.0.1', source_ip: '-' },
      {
        source_ip: '00000000000000000000ffff0a000001',
        metadata: [['source_ip', '-']],
      },
    ],
    [
      'the top level wins over metadata, whose entry stays',
      { metadata: { host: 'm' }, host: 't' },
      {
        host: 't',
        metadata: [['host', 'm']],
      },
    ],
    [
      'unknown names of both keep both values',
      { a: 1, metadata: { a: 2 } },
      {
        metadata: [
          ['a', '1'],
          ['metadata.a', '2'],
        ],
      },
    ],
    [
      'a null or empty value is no value',
      { host: null, hostname: '', metadata: { host: 'm' } },
      { host: 'm' },
    ],
    [
      'an empty value in metadata stays',
      { metadata: { host: '', x: '' } },
      {
        metadata: [
          ['host', ''],
          ['x', ''],
        ],
      },
    ],
  ])('%s', (_, record, expected) => {
    expect(eventOf(record)).toEqual(expected);
  });

  test.each([
    ['{"host":"a","host":"b"}', { host: 'b' }],
    ['{"host":"a","host":null}', {}],
    [
      '{"a":1,"a":{"b":2},"a.b":3}',
      {
        metadata: [
          ['a', '1'],
          ['a.b', '3'],
        ],
      },
    ],
    [
      '{"metadata":{"a":1},"metadata":{"a":2,"b":3}}',
      {
        metadata: [
          ['a', '2'],
          ['b', '3'],
        ],
      },
    ],
    [
      '{"__proto__":{"x":1},"constructor":"c"}',
      {
        metadata: [
          ['__proto__.x', '1'],
          ['constructor', 'c'],
        ],
      },
    ],
  ])('of repeated names the last wins: %s', (text, expected) => {
    const { flags: _, ...event } = eventOf(text);
    expect(event).toEqual(expected);
  });
});

describe('values', () => {
  test.each([
    [
      'numbers keep their text',
      '{"a":1.50,"b":1e3,"c":12345678901234567890}',
      [
        ['a', '1.50'],
        ['b', '1e3'],
        ['c', '12345678901234567890'],
      ],
    ],
    [
      'arrays become compact text',
      '{"a":[ 1, "x y" , true, null ],"b":[ { "c" : [ ] } ]}',
      [
        ['a', '[1,"x y",true,null]'],
        ['b', '[{"c":[]}]'],
      ],
    ],
    ['objects flatten, empty ones vanish', '{"a":{"b":{"c":1},"d":{}},"e":{}}', [['a.b.c', '1']]],
    [
      'wrong types go to metadata',
      '{"cpu_usage":"abc","pid":-1,"source_port":70000,"threats":"x","http":5}',
      [
        ['cpu_usage', 'abc'],
        ['http', '5'],
        ['pid', '-1'],
        ['source_port', '70000'],
        ['threats', 'x'],
      ],
    ],
    [
      'NaN is no metric',
      '{"cpu_usage":NaN,"x":-Infinity}',
      [
        ['cpu_usage', 'NaN'],
        ['x', '-Infinity'],
      ],
    ],
  ])('%s', (_, text, metadata) => {
    expect(eventOf(text)['metadata']).toEqual(metadata);
  });

  test('numbers and booleans are taken as text, numbers in strings as numbers', () => {
    expect(
      eventOf({ host: 5, user: true, cpu_usage: '3.25', pid: '17', memory_usage: { used: '1.6' } }),
    ).toEqual({
      host: '5',
      user: 'true',
      cpu_usage: 3.25,
      pid: 17,
      memory_used: 2n,
    });
  });

  test.each([
    ['\\u0041\\u00e9\\u20ac\\ud83d\\ude00', 'Aé€😀', 0],
    ['\\"\\\\\\/\\b\\f\\n\\r\\t', '"\\/\b\f\n\r\t', 0],
    ['\\u0000', '\0', 0],
    ['\\ud800x', '\ufffdx', EventFlag.textRepaired],
    ['a\tb', 'a\tb', 0],
  ])('the string "%s"', (raw, message, flags) => {
    const event = eventOf(`{"timestamp":"${TIME}","message":"${raw}"}`);
    expect(event).toEqual(flags === 0 ? { message } : { message, flags });
  });

  test('invalid UTF-8 is replaced and flagged', () => {
    const bytes = Buffer.concat([
      Buffer.from(`{"ts":"${TIME}","msg":"a`),
      Buffer.from([0xc3, 0x28]),
      Buffer.from('"}'),
    ]);
    expect(harness.parse(bytes).event).toEqual({
      timestamp: TIME,
      message: 'a\ufffd(',
      flags: EventFlag.textRepaired,
    });
  });

  test('threats of other forms keep what they can, and the text when that is not all', () => {
    expect(
      eventOf({ threats: ['worm', { name: 'n', severity: 'Medium', tags: ['t'], score: 3 }, 7, {}] }),
    ).toEqual({
      threats: [
        { name: 'worm', severity: '', tags: [] },
        { name: 'n', severity: 'MEDIUM', tags: ['t'] },
        { name: '7', severity: '', tags: [] },
      ],
      metadata: [['threats', '["worm",{"name":"n","severity":"Medium","tags":["t"],"score":3},7,{}]']],
    });
  });
});

describe('level and severity', () => {
  test.each([
    [{ level: 'Information' }, 'INFO', 9],
    [{ level: 'FATAL2' }, 'FATAL', 22],
    [{ level: 30 }, 'INFO', 9],
    [{ severity: 3 }, 'ERROR', 17],
    [{ severity: '4' }, 'WARN', 13],
    [{ severity_number: 14 }, 'WARN', 14],
    [{ severity_text: 'WARN', severity_number: 14 }, 'WARN', 14],
    [{ severity_number: 14, severity_text: 'WARN' }, 'WARN', 14],
    [{ level: 'custom', severity_number: 9 }, 'custom', 9],
    [{ severity_number: 9, level: 'custom' }, 'custom', 9],
    [{ level: 'custom' }, 'custom', undefined],
    [{ severity_number: 0 }, undefined, undefined],
  ])('%j', (record, level, number) => {
    expect(eventOf(record)).toEqual({
      ...(level !== undefined && { level }),
      ...(number !== undefined && { severity_number: number }),
    });
  });
});

describe('times', () => {
  test.each([
    ['missing', {}, RECORD_TIME, EventFlag.timeMissing, undefined],
    ['null', { timestamp: null }, RECORD_TIME, EventFlag.timeMissing, undefined],
    ['unreadable', { ts: 'yesterday' }, RECORD_TIME, EventFlag.timeReplaced, [['ts', 'yesterday']]],
    [
      'more than an hour ahead',
      { time: '2024-05-01T13:00:01Z' },
      RECORD_TIME,
      EventFlag.timeReplaced,
      [['time', '2024-05-01T13:00:01Z']],
    ],
    ['before 1970', { timestamp: -5 }, RECORD_TIME, EventFlag.timeReplaced, [['timestamp', '-5']]],
    [
      'an hour ahead',
      { timestamp: '2024-05-01T13:00:00Z' },
      '2024-05-01T13:00:00.000000Z',
      undefined,
      undefined,
    ],
    [
      'local and ahead',
      { timestamp: '2024-05-01T14:00:01' },
      '2024-05-01T12:00:01.000000Z',
      undefined,
      undefined,
    ],
    ['old', { timestamp: 0 }, '1970-01-01T00:00:00.000000Z', undefined, undefined],
    [
      'epoch milliseconds as text',
      { '@timestamp': '1714564799123.5' },
      '2024-05-01T11:59:59.123500Z',
      undefined,
      undefined,
    ],
    ['readable under a lesser name', { timestamp: 'x', ts: TIME }, TIME, undefined, [['timestamp', 'x']]],
  ])('%s', (...row) => {
    const [, record, timestamp, flags, metadata] = row;
    expect(harness.parse(JSON.stringify(record)).event).toEqual({
      timestamp,
      ...(flags !== undefined && { flags }),
      ...(metadata !== undefined && { metadata }),
    });
  });
});

describe('dead letters', () => {
  test.each([
    ['', 'malformed_json'],
    ['{', 'malformed_json'],
    ['{"a":1', 'malformed_json'],
    ['{"a":1}}', 'malformed_json'],
    ['{"a":01}', 'malformed_json'],
    ['{"a":1,}', 'malformed_json'],
    ["{'a':1}", 'malformed_json'],
    ['{"a":"\\x41"}', 'malformed_json'],
    ['[1,2', 'malformed_json'],
    ['[1,2]', 'malformed_json'],
    ['"text"', 'malformed_json'],
    ['null', 'malformed_json'],
    [`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`, 'nested_too_deep'],
    [`{"a":${'['.repeat(100_000)}`, 'nested_too_deep'],
  ])('%s', (text, outcome) => {
    const parsed = harness.parse(text);
    expect(parsed.outcome).toBe(outcome);
    expect(parsed.detail).not.toBe('');
  });

  test('sixty-four levels are not too deep', () => {
    const event = eventOf(`${'{"a":'.repeat(64)}1${'}'.repeat(64)}`);
    expect(event['metadata']).toEqual([[Array.from({ length: 64 }, () => 'a').join('.'), '1']]);
  });

  test('a record of a megabyte is an event, on either path', () => {
    const message = 'x'.repeat(1_000_000);
    expect(eventOf({ message })['message']).toBe(message);
    expect(eventOf({ message, a: [{}] })['message']).toBe(message);
  });

  test('a long path is not repeated for every member of its object', () => {
    const long = 'k'.repeat(200);
    const record = JSON.stringify({
      ts: TIME,
      [long]: { a: 1, b: { c: 2 } },
      short: { [long]: { d: [3] } },
      e: { [long]: {} },
    });
    expect(eventOf(record)['metadata']).toEqual([
      [long, '{"a":1,"b":{"c":2}}'],
      [`short.${long}`, '{"d":[3]}'],
    ]);
    const edge = 'k'.repeat(128);
    expect(eventOf({ [edge]: { a: 1 }, [`${edge}k`]: { a: 2 } })['metadata']).toEqual([
      [`${edge}.a`, '1'],
      [`${edge}k`, '{"a":2}'],
    ]);
  });

  test('a byte order mark is passed over', () => {
    expect(harness.parse(`\ufeff{"ts":"${TIME}","msg":"m"}`).event).toEqual({
      timestamp: TIME,
      message: 'm',
    });
  });
});

test('the record time rules the guess of a zone', () => {
  const options = { recordTimeUs: RECORD_TIME_US + 86_400_000_000 };
  expect(harness.parse('{"ts":"2024-05-02T17:30:00"}', options).event).toEqual({
    timestamp: '2024-05-02T12:00:00.000000Z',
  });
});
