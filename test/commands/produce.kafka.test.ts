import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ReadRecord, readTopic } from '../../src/bus/kafka-reader.ts';
import { Checksum } from '../../src/produce/checksum.ts';
import { createGenerator } from '../../src/produce/generator.ts';
import { runCli } from '../support/cli.ts';
import { createTopic, kafkaBrokers, recordTelemetry, uniqueName } from '../support/kafka.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-produce-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const env = { MILLRACE_KAFKA_BROKERS: '' };
beforeAll(() => {
  env.MILLRACE_KAFKA_BROKERS = kafkaBrokers().join(',');
});

const START = '2025-06-01T12:00:00.000Z';

describe('produce and consume', () => {
  test('what was produced is what consume writes, one JSON object per line', async () => {
    const topic = uniqueName('mixed');
    const args = ['--rate', '0', '--count', '3000', '--kind', 'mixed', '--topic', topic, '--seed', '9'];
    const produced = await runCli(['produce', ...args, '--start', START, '--partitions', '3', '--json'], {
      env,
    });
    expect(produced).toMatchObject({ code: 0, stderr: '' });
    const account = JSON.parse(produced.stdout);
    expect(account).toMatchObject({ events: 3000, unconfirmed: 0, first_seq: 1, last_seq: 3000, seed: 9 });
    expect(account.by_topic).toEqual({ [topic]: 3000 });

    const generator = createGenerator({
      kind: 'mixed',
      seed: 9,
      startUs: Date.parse(START) * 1000,
      rate: 100_000,
      topic,
    });
    const checksum = new Checksum();
    const expected = new Set<string>();
    for (let i = 0; i < 3000; i++) {
      const { hash, isText, value } = generator.next();
      checksum.add(hash);
      expected.add(isText ? JSON.stringify({ message: value }) : value);
    }
    expect(account.checksum).toBe(checksum.toString());

    const output = join(folder, 'logs.json');
    const consumed = await runCli(
      ['consume', '--topic', topic, '--output', output, '--from-beginning', '--json'],
      { env },
    );
    expect(consumed).toMatchObject({ code: 0, stderr: expect.stringContaining('"records":3000') });
    expect(JSON.parse(consumed.stderr)).toMatchObject({ records: 3000, empty: 0, unreadable: 0 });
    const lines = readFileSync(output, 'utf8').trimEnd().split('\n');
    expect(lines).toHaveLength(3000);
    expect(new Set(lines)).toEqual(expected);
  });

  test.each(['gzip', 'zstd'])(
    'with --compression %s and without a topic each kind goes to its own',
    async (codec) => {
      const args = ['--rate', '0', '--count', '500', '--kind', 'mixed', '--compression', codec, '--json'];
      const produced = await runCli(['produce', ...args, '--first-seq', '1000'], { env });
      expect(produced).toMatchObject({ code: 0, stderr: '' });
      const account = JSON.parse(produced.stdout);
      expect(account.by_topic).toEqual(account.by_kind);
      expect(Object.keys(account.by_topic).toSorted()).toEqual([
        'logs',
        'security-events',
        'system-metrics',
        'threat-logs',
      ]);
      expect(account).toMatchObject({ first_seq: 1000, last_seq: 1499 });
    },
  );

  test('--ledger writes down where each acknowledged record lies, with its number and checksum', async () => {
    const topic = await createTopic('ledger', 3);
    const ledger = join(folder, 'ledger.tsv');
    const args = ['--rate', '0', '--count', '7000', '--kind', 'logs', '--topic', topic, '--ledger', ledger];
    const produced = await runCli(['produce', ...args, '--start', START, '--json'], { env });
    expect(produced.code).toBe(0);
    const written = new Map<string, string>();
    for (const line of readFileSync(ledger, 'utf8').trimEnd().split('\n')) {
      const [name, partition, offset, seq, hash] = line.split('\t');
      expect(name).toBe(topic);
      written.set(`${partition}@${offset}`, `${seq} ${hash}`);
    }
    const generator = createGenerator({
      kind: 'logs',
      seed: 1,
      startUs: Date.parse(START) * 1000,
      rate: 100_000,
      topic,
    });
    const hashOf = new Map(Array.from({ length: 7000 }, () => generator.next()).map((e) => [e.seq, e.hash]));
    const inKafka = new Map<string, string>();
    const options = {
      brokers: kafkaBrokers(),
      clientId: 'test',
      topic,
      from: 'beginning',
      isFollowing: false,
    } as const;
    const keep = async (records: readonly ReadRecord[]): Promise<void> => {
      for (const { partition, offset, value } of records) {
        const { seq } = JSON.parse(Buffer.from(value!).toString()).metadata;
        inKafka.set(`${partition}@${offset}`, `${seq} ${hashOf.get(seq)}`);
      }
    };
    await readTopic(options, keep, recordTelemetry());
    expect(inKafka.size).toBe(7000);
    expect(written).toEqual(inKafka);
    const refused = await runCli([
      'produce',
      '--ledger',
      ledger,
      '--url',
      'http://127.0.0.1:1',
      '--count',
      '1',
    ]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('--ledger is for Kafka') });
  });

  test('Ctrl-C ends a run without a count, with its account', async () => {
    const topic = await createTopic('endless');
    const waiting = runCli(['consume', '--topic', topic, '--count', '20'], { env });
    const produced = await runCli(
      ['produce', '--rate', '200', '--topic', topic, '--brokers', env.MILLRACE_KAFKA_BROKERS],
      { interruptAfter: 'events,' },
    );
    expect(produced.code).toBe(0);
    expect(produced.stderr).toMatch(/^[\d,]+ events, [\d,]+\/s\n/);
    expect(produced.stdout).toMatch(/ {2}kind {3}logs +[\d,]+\n/);
    expect(produced.stdout).toMatch(/\nchecksum \d+\n$/);
    const events = Number(/^([\d,]+) events/.exec(produced.stdout)?.[1]?.replaceAll(',', ''));
    expect(events).toBeGreaterThan(500);
    expect(events).toBeLessThan(3000);
    const consumed = await waiting;
    expect(consumed.code).toBe(0);
    expect(consumed.stdout.trimEnd().split('\n')).toHaveLength(20);
  });

  test('a topic that does not exist and a broker that is not there are one sentence and 1', async () => {
    const output = join(folder, 'kept.json');
    writeFileSync(output, 'kept\n');
    const args = ['consume', '--topic', uniqueName('none'), '--from-beginning', '--output', output];
    const missing = await runCli(args, { env });
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain('the cluster has none');
    expect(readFileSync(output, 'utf8')).toBe('kept\n');
    const empty = await runCli([...args.with(2, await createTopic('empty')), '--json'], { env });
    expect(empty).toMatchObject({ code: 0, stderr: expect.stringContaining('"records":0') });
    expect(readFileSync(output, 'utf8')).toBe('');
    const gone = await runCli(['produce', '--count', '1', '--brokers', '127.0.0.1:1']);
    expect(gone.code).toBe(1);
    expect(gone.stderr).toContain('millrace: Cannot connect to Kafka');
  });
});
