/** The command line of `millrace replay`: what it prints, what it asks, and what it refuses. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeRunFile } from '../../src/store/run-file.ts';
import { type CliResult, runCli } from '../support/cli.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { createTopic, kafkaBrokers, kafkaClient, produce } from '../support/kafka.ts';
import { writeLetterKey } from '../support/letters.ts';
import { startPipeline } from '../support/pipeline.ts';

const LONG_MS = 300_000;
const COUNT = 100;
const FIRST_MS = Date.parse('2026-05-01T10:00:00Z');

let clickhouse: TestClickHouse;
let dataDir = '';
let topic = '';

beforeAll(async () => {
  clickhouse = await startClickHouse();
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-replay-'));
  const { port, headers } = clickhouse.server;
  const [[header, key] = ['', '']] = Object.entries(headers);
  writeLetterKey(dataDir);
  await writeRunFile(dataDir, { clickhouse: { port, header, key } });
  topic = await createTopic('replay', 2, {
    config: { 'retention.ms': '-1' },
  });
  // One record a second; a batch each, so that Kafka can delete up to any of them.
  for (let i = 0; i < COUNT; i += 20) {
    const messages = Array.from({ length: 20 }, (_, k) => ({
      partition: 0,
      timestamp: String(FIRST_MS + (i + k) * 1000),
      value: i + k === 7 ? '{"message":' : `{"message":"event ${i + k}"}`,
    }));
    await produce(topic, messages);
  }
  const pipeline = await startPipeline({ clickhouse, topics: [topic] });
  await pipeline.untilReceived(COUNT, LONG_MS);
  await pipeline.stop();
}, LONG_MS);
afterAll(async () => {
  await clickhouse.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function replay(...args: string[]): Promise<CliResult> {
  const env = { MILLRACE_DATA_DIR: dataDir, MILLRACE_KAFKA_BROKERS: kafkaBrokers().join(',') };
  return await runCli(['replay', ...args], { env });
}

describe('millrace replay', () => {
  test(
    'prints the plan and changes nothing with --plan',
    async () => {
      const args = [
        '--topic',
        topic,
        '--from',
        '2026-05-01T10:00:10Z',
        '--to',
        '500',
        '--mode',
        'replace',
        '--plan',
      ];
      const json = await replay(...args, '--partition', '0', '--json');
      expect(json).toMatchObject({ code: 0, stderr: '' });
      expect(JSON.parse(json.stdout)).toEqual({
        plan: {
          topic,
          mode: 'replace',
          records: 90,
          partitions: [
            {
              partition: 0,
              from: 10,
              to: 100,
              records: 90,
              stored_rows: 90,
              dead_letters: 0,
              clipped: [
                {
                  reason: 'past_the_end',
                  asked: 500,
                  offset: 100,
                  detail: 'the partition ends at 100, not at 500',
                },
              ],
            },
          ],
          rewritten: [{ day: '2026-05-01', retention_days: 30, rows: 99, bytes: expect.any(Number) }],
        },
      });
      const text = await replay(...args);
      expect(text.stdout).toContain('mode replace: 90 offsets');
      expect(text.stdout).toContain('clipped    partition 0: the partition ends at 100, not at 500');
      expect(text.stdout).toContain('clipped    partition 1: nothing of this partition is in the ledger');
      expect(text.stdout).toContain('rewritten  2026-05-01, kept for 30 days: 99 rows');
    },
    LONG_MS,
  );

  test(
    'does what was planned with --yes, and says what it did',
    async () => {
      await clickhouse.store.command(
        'ALTER TABLE logs DELETE WHERE offset < 50',
        {},
        { settings: { mutations_sync: 2 } },
      );
      const args = ['--topic', topic, '--from', '0', '--mode', 'missing', '--yes'];
      const first = await replay(...args);
      expect(first).toMatchObject({ code: 0 });
      expect(first.stdout).toContain('100 records read: 49 missing rows stored, 0 dead letters added.');
      const second = await replay(...args, '--json');
      expect(JSON.parse(second.stdout)).toMatchObject({
        result: { read: 100, rows: 0, dead_letters: 0, filtered: 0, kept_rows: 0, held_letters: 0 },
      });
    },
    LONG_MS,
  );

  test(
    'asks nobody where nobody can answer',
    async () => {
      const asked = await replay('--topic', topic, '--from', '0', '--mode', 'missing');
      expect(asked).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('add --yes to go on, or --plan'),
      });
      expect(asked.stdout).toContain('mode missing: 100 offsets');
    },
    LONG_MS,
  );

  test.each<[name: string, args: string[], outcome: { code: number; problem: string }]>([
    [
      'detect',
      ['--topic', 'TOPIC', '--from', '0', '--mode', 'detect'],
      { code: 1, problem: 'There are no rules in this version' },
    ],
    [
      'an unknown topic',
      ['--topic', 'no-such-topic', '--from', '0', '--mode', 'missing'],
      { code: 1, problem: 'Kafka has no topic "no-such-topic"' },
    ],
    [
      'from after to',
      ['--topic', 'TOPIC', '--from', '9', '--to', '8', '--mode', 'missing'],
      { code: 2, problem: '--from "9" is not before --to "8"' },
    ],
    [
      'no time',
      ['--topic', 'TOPIC', '--from', 'yesterday', '--mode', 'missing'],
      { code: 2, problem: 'An offset, or: --from must be a time like' },
    ],
    [
      'no mode',
      ['--topic', 'TOPIC', '--from', '0'],
      { code: 2, problem: "required option '--mode <mode>' not specified" },
    ],
    [
      'an unknown partition',
      ['--topic', 'TOPIC', '--from', '0', '--mode', 'missing', '--partition', '5'],
      { code: 2, problem: 'has no partition 5, it has 2 partitions' },
    ],
    [
      'nothing after --from',
      ['--topic', 'TOPIC', '--from', '100', '--partition', '0', '--mode', 'missing'],
      { code: 1, problem: 'no processed record lies between --from and 100' },
    ],
  ])(
    'refuses %s',
    async (_name, args, { code, problem }) => {
      const result = await replay(...args.map((arg) => (arg === 'TOPIC' ? topic : arg)));
      expect(result).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(problem) });
    },
    LONG_MS,
  );

  test(
    'says so when Kafka has deleted the stretch, or nothing of it was ever processed',
    async () => {
      const fresh = await createTopic('never');
      await produce(fresh, [{ value: 'x' }]);
      const never = await replay('--topic', fresh, '--from', '0', '--mode', 'missing', '--yes');
      expect(never).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('was never processed into this database'),
      });

      const admin = kafkaClient().admin();
      await admin.connect();
      // Which loads what the next call needs.
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '40' }] });
      await admin.disconnect();
      const gone = await replay(
        '--topic',
        topic,
        '--from',
        '0',
        '--to',
        '40',
        '--mode',
        'replace',
        '--partition',
        '0',
        '--yes',
      );
      expect(gone).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringContaining('Kafka has deleted the records from 0 to 39'),
      });
      const rest = await replay('--topic', topic, '--from', '0', '--mode', 'replace', '--yes', '--json');
      expect(JSON.parse(rest.stdout)).toMatchObject({
        plan: {
          partitions: [{ from: 40, to: 100, clipped: [{ reason: 'deleted_by_kafka' }] }, { records: 0 }],
        },
        result: { read: 60, rows: 60 },
      });
      const [row] = await clickhouse.store.query('SELECT count() AS n, min(offset) AS first FROM logs');
      expect(row).toEqual({ n: 99, first: 0 });
    },
    LONG_MS,
  );
});
