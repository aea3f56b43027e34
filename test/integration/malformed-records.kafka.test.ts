/** Records that no well-behaved sender makes, through a real topic: each becomes something, and the lane goes on. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventFlag } from '../../src/event/columns.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { createTopic, produce } from '../support/kafka.ts';
import { startPipeline, type TestPipeline } from '../support/pipeline.ts';
import { expectBalancedLedger, expectCommittedToEnd } from '../support/stored.ts';

const MIB = 1024 * 1024;

type Outcome =
  | { readonly event: Readonly<Record<string, unknown>> }
  | { readonly letter: string }
  | { readonly filter: string };

/** No time, and repaired text. */
const REPAIRED = EventFlag.timeMissing | EventFlag.textRepaired;

const RECORDS: readonly (readonly [name: string, value: string | Buffer | null, outcome: Outcome])[] = [
  ['null', null, { filter: 'tombstone' }],
  ['empty', '', { filter: 'blank' }],
  ['only white space', ' \t\r\n', { filter: 'blank' }],
  [
    'invalid UTF-8 in JSON',
    Buffer.concat([Buffer.from('{"message":"a'), Buffer.from([0xff, 0xc3]), Buffer.from('b"}')]),
    { event: { message: 'a\uFFFD\uFFFDb', flags: REPAIRED } },
  ],
  [
    'invalid UTF-8 in a line',
    Buffer.from([0x61, 0xf0, 0x28, 0x62]),
    { event: { message: 'a\uFFFD(b', flags: REPAIRED } },
  ],
  ['truncated JSON', '{"message":"cut off', { letter: 'malformed_json' }],
  ['JSON cut after a colon', '{"message":', { letter: 'malformed_json' }],
  ['an open brace', '{', { letter: 'malformed_json' }],
  ['something behind the object', '{"message":"x"} trailing', { letter: 'malformed_json' }],
  ['a number that is none', '{"message":"x","n":01e}', { letter: 'malformed_json' }],
  ['a line of 1 MB', 'L'.repeat(MIB), { event: { length: MIB } }],
  ['a JSON message of nearly 1 MB', `{"message":"${'J'.repeat(MIB - 14)}"}`, { event: { length: MIB - 14 } }],
  ['one byte more than 1 MiB', 'M'.repeat(MIB + 1), { letter: 'record_too_large' }],
  ['a million brackets', `{"a":${'['.repeat(500_000)}`, { letter: 'nested_too_deep' }],
  ['objects nested 200 deep', `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`, { letter: 'nested_too_deep' }],
  [
    'objects nested 40 deep',
    `{"message":"deep","a":${'{"b":'.repeat(40)}1${'}'.repeat(41)}`,
    { event: { message: 'deep' } },
  ],
  ['duplicate keys', '{"message":"first","message":"second"}', { event: { message: 'second' } }],
  ['NUL in JSON', '{"message":"a\\u0000b"}', { event: { message: 'a\0b' } }],
  ['NUL in a line', 'a\0b', { event: { message: 'a\0b' } }],
  ['a raw control character in JSON', '{"message":"a\u0001b"}', { event: { message: 'a\u0001b' } }],
  [
    '__proto__ and constructor',
    '{"message":"p","__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}}}',
    {
      event: {
        message: 'p',
        metadata: { '__proto__.polluted': 'yes', 'constructor.prototype.polluted': 'yes' },
      },
    },
  ],
  ['a lone surrogate', '{"message":"\\ud800"}', { event: { message: '\uFFFD', flags: REPAIRED } }],
  ['an array', '[{"message":"x"}]', { event: { message: '[{"message":"x"}]' } }],
  ['a bare number', '42', { event: { message: '42' } }],
  [
    'fields of the wrong type',
    '{"message":{"a":1},"timestamp":[],"level":{},"host":7,"pid":"x"}',
    { event: { flags: EventFlag.timeReplaced, metadata: { 'message.a': '1', timestamp: '[]', pid: 'x' } } },
  ],
  [
    'a time that never was',
    '{"message":"t","timestamp":"2025-13-77T99:00:00Z"}',
    { event: { message: 't', flags: EventFlag.timeReplaced } },
  ],
  [
    'bytes of nothing known',
    Buffer.from([0, 1, 2, 3, 0xfe, 0xff, 0x80]),
    { event: { message: '\0\u0001\u0002\u0003\uFFFD\uFFFD\uFFFD' } },
  ],
];

interface StoredRow {
  readonly offset: number;
  readonly message: string;
  readonly length: number;
  readonly flags: number;
  readonly metadata: Readonly<Record<string, string>>;
}

describe('malformed records', () => {
  let clickhouse: TestClickHouse;
  let running: TestPipeline;
  let topic = '';
  const rows = new Map<number, StoredRow>();
  const letters = new Map<number, string>();
  beforeAll(async () => {
    [clickhouse, topic] = await Promise.all([startClickHouse(), createTopic('malformed')]);
    // Offset 2i is the odd record, 2i + 1 a good one.
    for (const [name, value] of RECORDS) {
      await produce(topic, [{ value }, { value: `{"message":"good after ${name}"}` }]);
    }
    running = await startPipeline({ clickhouse, topics: [topic] });
    await running.untilReceived(2 * RECORDS.length);
    await running.stop();
    const found = await clickhouse.store.query<StoredRow>(
      'SELECT offset, substring(message, 1, 100) AS message, lengthUTF8(logs.message) AS length, flags, metadata FROM logs',
    );
    for (const row of found) rows.set(row.offset, row);
    const dead = await clickhouse.store.query<{ offset: number; reason: string }>(
      'SELECT offset, reason FROM dead_letters',
    );
    for (const { offset, reason } of dead) letters.set(offset, reason);
  });
  afterAll(async () => {
    await clickhouse.stop();
  });

  test.each(RECORDS.map(([name, , outcome], i) => [name, i, outcome] as const))('%s', (name, i, outcome) => {
    const offset = 2 * i;
    expect(rows.has(offset)).toBe('event' in outcome);
    expect(rows.get(offset) ?? {}).toMatchObject('event' in outcome ? outcome.event : {});
    expect(letters.get(offset)).toBe('letter' in outcome ? outcome.letter : undefined);
    expect(rows.get(offset + 1)).toMatchObject({ message: `good after ${name}` });
  });

  test('each is counted once, and the whole topic is committed', async () => {
    const sum = await expectBalancedLedger(clickhouse.store);
    const expected = { received: 2 * RECORDS.length, stored: rows.size, dead_lettered: letters.size };
    expect(sum).toMatchObject(expected);
    expect(sum.filtered).toBe(RECORDS.filter(([, , outcome]) => 'filter' in outcome).length);
    expect(running.telemetry.count('worker_died')).toBe(0);
    await expectCommittedToEnd(running.groupId, [topic]);
  });

  test('nothing reached a prototype', () => {
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
