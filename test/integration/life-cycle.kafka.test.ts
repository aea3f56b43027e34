/** `millrace up` as a process: how it stops, starts again, and what it leaves behind. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ProductionAccount } from '../../src/commands/produce-loop.ts';
import { isProcessAlive } from '../../src/store/embedded/data-dir-owner.ts';
import { readRunFile } from '../../src/store/run-file.ts';
import { kafkaBrokers, uniqueName } from '../support/kafka.ts';
import { createKindTopics, type KindTopics, produceEvents } from '../support/produce-events.ts';
import { type Program, type ProgramOptions, startProgram } from '../support/program.ts';
import {
  expectBalancedLedger,
  expectChecksum,
  expectCommittedToEnd,
  groupOffsets,
} from '../support/stored.ts';
import { until } from '../support/until.ts';

const DRAIN_MS = 20_000;
const LOAD_PER_SECOND = 2000;

let dataDir = '';
const programs: Program[] = [];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-life-'));
});
afterEach(async () => {
  await Promise.all(programs.splice(0).map((program) => program.kill()));
  await rm(dataDir, { recursive: true, force: true });
});

async function start(settings: ProgramOptions['settings'] = {}): Promise<Program> {
  const program = await startProgram({ dataDir, settings });
  programs.push(program);
  return program;
}

function withKafka(topics: KindTopics, group: string): Record<string, string> {
  return {
    KAFKA_BROKERS: kafkaBrokers().join(','),
    KAFKA_TOPICS: [...topics.values()].join(','),
    KAFKA_GROUP: group,
  };
}

async function storedCount(program: Program): Promise<number> {
  return (await program.get('/pipeline/status')).stored as number;
}

async function committedCount(program: Program): Promise<number> {
  const { lanes } = await program.get('/pipeline/status');
  const offsets = lanes.map((lane: { committed_offset: number }) => lane.committed_offset);
  return offsets.reduce((sum: number, offset: number) => sum + offset, 0);
}

async function untilBlocksWait(program: Program): Promise<void> {
  await until(async () => (await program.get('/pipeline/status')).buffers.blocks_bytes > 0);
}

/** Production that goes on until `end`; the account of all that Kafka took. */
function produceUntilTold(topics: KindTopics, rate: number) {
  const told = new AbortController();
  const produced = produceEvents({ topics, count: 1_000_000, rate, signal: told.signal });
  return {
    end(): Promise<ProductionAccount> {
      told.abort();
      return produced;
    },
  };
}

async function expectAllStored(program: Program, account: ProductionAccount): Promise<void> {
  const store = program.openStore();
  try {
    await until(async () => {
      const [row] = await store.query<{ count: number }>('SELECT count() AS count FROM logs');
      return (row?.count ?? 0) >= account.sentCount;
    });
    await expectChecksum(store, account);
  } finally {
    await store.close();
  }
}

describe('stopping under load', { timeout: 180_000 }, () => {
  test.each([
    ['SIGTERM', (program: Program) => program.signal('SIGTERM')],
    ['Ctrl-C, which the whole process group gets,', (program: Program) => program.signalGroup('SIGINT')],
  ])(
    '%s drains, commits and ends with 0; the next start goes on without loss or double',
    async (_name, stop) => {
      const topics = await createKindTopics(3);
      const group = uniqueName('life');
      const settings = withKafka(topics, group);
      const first = await start(settings);
      await first.ready();
      const production = produceUntilTold(topics, LOAD_PER_SECOND);
      await until(async () => (await storedCount(first)) > LOAD_PER_SECOND);
      const clickhousePid = await first.clickhousePid();
      const stopAt = Date.now();
      stop(first);
      expect(await first.exited).toEqual({ code: 0, signal: null });
      expect(Date.now() - stopAt).toBeLessThan(DRAIN_MS);
      expect(first.printed).toContain('"isDrained":true');
      expect(isProcessAlive(clickhousePid)).toBe(false);
      expect(await readRunFile(dataDir)).toBeUndefined();

      const atStop = await groupOffsets(group, [...topics.values()]);
      const committed = Object.values(atStop.committed).reduce((a, b) => a + b, 0);
      expect(committed).toBeGreaterThan(LOAD_PER_SECOND);

      const second = await start(settings);
      await second.ready();
      const account = await production.end();
      await expectAllStored(second, account);
      second.signal('SIGTERM');
      expect(await second.exited).toEqual({ code: 0, signal: null });
      await expectCommittedToEnd(group, [...topics.values()]);

      // Without Kafka nothing more comes in: the data are still there, and the ledger of both runs fits together.
      const third = await start();
      await third.ready();
      const store = third.openStore();
      const sum = await expectBalancedLedger(store);
      expect(sum).toMatchObject({ received: account.sentCount, stored: account.sentCount });
      await store.close();
    },
  );

  test('a second SIGTERM ends it at once, also while it cannot drain', async () => {
    const topics = await createKindTopics(1);
    const program = await start(withKafka(topics, uniqueName('life')));
    await program.ready();
    await produceEvents({ topics, count: 2000 });
    await until(async () => (await storedCount(program)) === 2000);
    const clickhousePid = await program.clickhousePid();
    process.kill(clickhousePid, 'SIGSTOP');
    await produceEvents({ topics, count: 2000, generator: { firstSeq: 2001 } });
    await untilBlocksWait(program);
    program.signal('SIGTERM');
    await until(async () => (await program.problems()).includes('stopping'));
    const before = Date.now();
    program.signal('SIGTERM');
    const { code, signal } = await program.exited;
    expect(Date.now() - before).toBeLessThan(2000);
    expect({ code, signal }).toEqual({ code: 130, signal: null });
    await until(() => !isProcessAlive(clickhousePid));
  });

  test('a drain that cannot end is cut at DRAIN_TIMEOUT_MS, with exit code 1; the next start has everything', async () => {
    const topics = await createKindTopics(1);
    const settings = withKafka(topics, uniqueName('life'));
    const first = await start({ ...settings, DRAIN_TIMEOUT_MS: '2000' });
    await first.ready();
    await produceEvents({ topics, count: 2000 });
    await until(async () => (await committedCount(first)) === 2000);
    process.kill(await first.clickhousePid(), 'SIGSTOP');
    await produceEvents({ topics, count: 2000, generator: { firstSeq: 2001 } });
    await untilBlocksWait(first);
    const stopAt = Date.now();
    first.signal('SIGTERM');
    expect((await first.exited).code).toBe(1);
    expect(Date.now() - stopAt).toBeLessThan(10_000);
    const second = await start(settings);
    await second.ready();
    const store = second.openStore();
    const sql = 'SELECT count() AS events, uniqExact(source, partition, offset) AS records FROM logs';
    await until(async () => (await committedCount(second)) === 4000);
    expect(await store.query(sql)).toEqual([{ events: 4000, records: 4000 }]);
    await store.close();
  });
});

describe('two programs on one data directory', { timeout: 180_000 }, () => {
  test('started at the same time, for the first time: one runs, the other says data_dir_in_use', async () => {
    const both = await Promise.all([start(), start()]);
    const loser = await Promise.race(both.map(async (program) => await program.exited.then(() => program)));
    const winner = both.find((program) => program !== loser)!;
    expect((await loser.exited).code).toBe(1);
    expect(loser.printed).toContain('data_dir_in_use');
    await winner.ready();
    expect(await winner.problems()).toEqual([]);
    winner.signal('SIGTERM');
    expect((await winner.exited).code).toBe(0);
  });
});
