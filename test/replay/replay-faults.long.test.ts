/** Replays that are killed, and replays beside a pipeline that goes on storing. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProductionAccount } from '../../src/commands/produce-loop.ts';
import type { Failpoint } from '../../src/failpoints.ts';
import { writeRunFile } from '../../src/store/run-file.ts';
import { type CliResult, runCli } from '../support/cli.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { writeLetterKey } from '../support/letters.ts';
import { startPipeline } from '../support/pipeline.ts';
import { createKindTopics, type KindTopics, produceEvents } from '../support/produce-events.ts';
import { replayTopic } from '../support/replay.ts';
import { expectBalancedLedger, expectChecksum, expectRollups } from '../support/stored.ts';
import { until } from '../support/until.ts';

const COUNT = 6000;
const LONG_MS = 300_000;

let clickhouse: TestClickHouse;
let dataDir = '';
let topics: KindTopics;
let account: ProductionAccount;
let topic = '';

beforeAll(async () => {
  clickhouse = await startClickHouse();
  // As if a program ran on this directory.
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-replay-'));
  const { port, headers } = clickhouse.server;
  const [[header, key] = ['', '']] = Object.entries(headers);
  writeLetterKey(dataDir);
  await writeRunFile(dataDir, { clickhouse: { port, header, key } });
  topics = await createKindTopics(2);
  topic = topics.get('system-metrics') ?? '';
  account = await produceEvents({ topics, count: COUNT });
  const pipeline = await startPipeline({ clickhouse, topics: [...topics.values()] });
  await pipeline.untilReceived(COUNT, LONG_MS);
  await pipeline.stop();
}, LONG_MS);
afterAll(async () => {
  await clickhouse.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function change(table: string, mutation: string): Promise<void> {
  await clickhouse.store.command(`ALTER TABLE ${table} ${mutation}`, {}, { settings: { mutations_sync: 2 } });
}

function ofTopic(): string {
  return `source = (SELECT max(number) FROM sources WHERE topic = '${topic}')`;
}

async function replayTables(): Promise<string[]> {
  const rows = await clickhouse.store.query<{ name: string }>(
    `SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, 'replay_')`,
  );
  return rows.map(({ name }) => name);
}

async function runReplay(mode: string, failpoints = ''): Promise<CliResult> {
  const env = {
    MILLRACE_DATA_DIR: dataDir,
    MILLRACE_KAFKA_BROKERS: kafkaBrokers().join(','),
    ...(failpoints !== '' && { MILLRACE_FAILPOINTS: failpoints }),
  };
  return await runCli(['replay', '--topic', topic, '--from', '0', '--mode', mode, '--yes', '--json'], {
    env,
  });
}

async function expectAllRight(...produced: readonly ProductionAccount[]): Promise<void> {
  const { store } = clickhouse;
  for (const account of produced) await expectChecksum(store, account);
  await expectRollups(store, '1m');
  await expectRollups(store, '1h');
  await expectBalancedLedger(store);
  expect(await replayTables()).toEqual([]);
}

async function numberOf(sql: string): Promise<number> {
  const [row] = await clickhouse.store.query<{ number: number }>(`SELECT ${sql}`);
  return row?.number ?? 0;
}

describe('replay, killed', () => {
  test.each<[mode: string, point: Failpoint, hit: number]>([
    ['missing', 'replay_stored', 2],
    ['replace', 'replay_decided', 1],
    ['replace', 'replay_swapped', 1],
    ['replace', 'recompute', 2],
  ])(
    '--mode %s at %s: the next one finishes it',
    async (mode, point, hit) => {
      await change('logs', `DELETE WHERE ${ofTopic()} AND offset % 2 = 0`);
      if (mode === 'replace') await change('logs', `UPDATE host = 'corrupted' WHERE ${ofTopic()}`);
      const killed = await runReplay(mode, `${point}:kill@${hit}`);
      expect(killed).toMatchObject({ code: null, stdout: '' });
      expect(await replayTables()).not.toEqual([]);
      // One of them waits until what the dead one held expires; the others need not take as long.
      if (point !== 'replay_decided')
        await clickhouse.store.command('DROP TABLE IF EXISTS mutex_replace SYNC');
      const finished = await runReplay(mode);
      expect(finished).toMatchObject({ code: 0, stderr: '' });
      await expectAllRight(account);
    },
    LONG_MS,
  );
});

describe('replay beside a running pipeline', () => {
  test(
    'nothing is lost, doubled or miscounted, whatever both do',
    async () => {
      const { store } = clickhouse;
      // Below it no partition has a row that the pipeline could still work on.
      const doneTo = await numberOf(
        `min(end) AS number FROM (SELECT max(to_offset) AS end FROM ledger WHERE ${ofTopic()} GROUP BY partition)`,
      );
      const live = await startPipeline({ clickhouse, topics: [...topics.values()] });
      const generator = { firstSeq: account.lastSeq + 1 };
      const ending = new AbortController();
      const producing = produceEvents({
        topics,
        count: 100_000,
        rate: 500,
        generator,
        signal: ending.signal,
      });
      await live.untilReceived(1000, LONG_MS);
      for (const mode of ['replace', 'missing', 'replace'] as const) {
        // It goes on storing others of the same minutes.
        const damaged = `${ofTopic()} AND offset < ${doneTo} AND offset % 2 = 0`;
        await change(
          'logs',
          mode === 'missing' ? `DELETE WHERE ${damaged}` : `UPDATE host = 'x' WHERE ${damaged}`,
        );
        const tally = await replayTopic(store, { topic, mode });
        expect(tally.readCount).toBeGreaterThan(doneTo);
      }
      ending.abort();
      const added = await producing;
      // Not what was received: records that come again after the lanes were taken back are received twice.
      const expected = account.sentCount + added.sentCount;
      await until(async () => (await numberOf('count() AS number FROM logs')) >= expected, {
        timeoutMs: LONG_MS,
      });
      expect(await live.stop()).toBe(true);
      expect(await numberOf(`countIf(host IN ('x', 'corrupted')) AS number FROM logs`)).toBe(0);
      await expectAllRight(account, added);
    },
    LONG_MS,
  );
});
