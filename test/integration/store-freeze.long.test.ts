/** The built program while its ClickHouse stands still for a minute under load. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startClickHouse } from '../support/clickhouse.ts';
import { createTopic, kafkaBrokers, produce, uniqueName } from '../support/kafka.ts';
import { startPipeline } from '../support/pipeline.ts';
import { createKindTopics, produceEvents } from '../support/produce-events.ts';
import { type Program, startProgram } from '../support/program.ts';
import { expectBalancedLedger, expectChecksum, expectCommittedToEnd } from '../support/stored.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;
const FREEZE_MS = 60_000;
const LOAD_PER_SECOND = 8000;
const MAX_RESIDENT_BYTES = 400_000_000;
/** By then the buffers are full. */
const SETTLE_MS = 20_000;
/** What the memory may grow after that. */
const FLAT_BYTES = 16 * MIB;
/** Nothing moves: /readyz must say so by then. */
const MAX_SILENT_READY_MS = 35_000;
/** The look at the disk is what notices first. */
const MAX_SILENT_FREEZE_MS = 15_000;

interface Sample {
  readonly atMs: number;
  readonly residentBytes: number;
  readonly problems: readonly string[];
}

async function watch(program: Program, forMs: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  const beginMs = Date.now();
  while (Date.now() - beginMs < forMs) {
    const [{ now: residentBytes }, problems] = await Promise.all([
      program.residentBytes(),
      program.problems(),
    ]);
    samples.push({ atMs: Date.now() - beginMs, residentBytes, problems });
    await delay(500);
  }
  return samples;
}

describe(`ClickHouse stands still for ${FREEZE_MS / 1000} s under load`, () => {
  let dataDir = '';
  let program: Program;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'millrace-freeze-'));
  });
  afterEach(async () => {
    await program.kill();
    await rm(dataDir, { recursive: true, force: true });
  });

  test('memory stays flat, /readyz says why, the group does not rebalance, and everything arrives once', async () => {
    const topics = await createKindTopics(6);
    const group = uniqueName('freeze');
    program = await startProgram({
      dataDir,
      isBuilt: true,
      settings: {
        KAFKA_BROKERS: kafkaBrokers().join(','),
        KAFKA_TOPICS: [...topics.values()].join(','),
        KAFKA_GROUP: group,
      },
    });
    await program.ready();
    const status = async () => await program.get('/pipeline/status');
    const told = new AbortController();
    const producing = produceEvents({
      topics,
      count: 10_000_000,
      rate: LOAD_PER_SECOND,
      signal: told.signal,
    });
    await until(async () => (await status()).stored > 5 * LOAD_PER_SECOND);
    const clickhousePid = await program.clickhousePid();
    process.kill(clickhousePid, 'SIGSTOP');
    const samples = await watch(program, FREEZE_MS);
    const { buffers } = await status();
    process.kill(clickhousePid, 'SIGCONT');
    const thawedMs = Date.now();
    told.abort();
    const account = await producing;

    const firstSaid = samples.find(({ problems }) => problems.length > 0);
    expect(firstSaid?.atMs).toBeLessThan(MAX_SILENT_FREEZE_MS);
    const reasons = new Set(samples.flatMap(({ problems }) => problems));
    // Whether a commit was due as well is a matter of the moment.
    reasons.delete('commit_failed');
    expect([...reasons].toSorted()).toEqual(['clickhouse_unavailable', 'no_progress']);
    // Once the buffers are full nothing may grow any more; the collector may give memory back.
    const late = samples.filter(({ atMs }) => atMs > SETTLE_MS).map(({ residentBytes }) => residentBytes);
    const settled = late[0] ?? 0;
    expect(Math.max(...late) - settled).toBeLessThan(FLAT_BYTES);
    expect(buffers.records_bytes + buffers.blocks_bytes).toBeLessThan(192 * MIB);

    await until(async () => (await status()).stored >= account.sentCount, { timeoutMs: 120_000 });
    await until(async () => (await program.problems()).length === 0, { timeoutMs: 10_000 });
    const { peak } = await program.residentBytes();
    expect(peak).toBeLessThanOrEqual(MAX_RESIDENT_BYTES);
    expect(program.printed.split('"event":"kafka_assigned"')).toHaveLength(2);
    const toMb = (bytes: number): number => Math.round(bytes / 1e6);
    console.log(
      JSON.stringify({
        events: account.sentCount,
        firstSaidMs: firstSaid?.atMs,
        reasons: [...reasons],
        residentMb: { settled: toMb(settled), end: toMb(late.at(-1) ?? 0), peak: toMb(peak) },
        buffers,
        catchUpMs: Date.now() - thawedMs,
      }),
    );

    const store = program.openStore();
    await expectChecksum(store, account);
    // A ledger row that hung in the freeze is given up after 10 s and written again.
    const isComplete = async (): Promise<boolean> =>
      (await expectBalancedLedger(store)).received === account.sentCount;
    await until(() => isComplete().catch(() => false), { timeoutMs: 20_000 });
    await expectBalancedLedger(store);
    await store.close();
    program.signal('SIGTERM');
    expect(await program.exited).toEqual({ code: 0, signal: null });
    await expectCommittedToEnd(group, [...topics.values()]);
  });
});

test('a standstill while the group is assigned is told too, and ends by itself', async () => {
  const clickhouse = await startClickHouse();
  const topic = await createTopic('assigned');
  await produce(topic, [{ value: 'waits' }]);
  const running = await startPipeline({ clickhouse, topics: [topic] });
  try {
    // The number of the topic's source is asked of ClickHouse when the group has assigned its partitions.
    clickhouse.freeze();
    await until(() => running.problems().includes('no_progress'), { timeoutMs: MAX_SILENT_READY_MS });
    const stall = running.pipeline.health.problems.find(({ reason }) => reason === 'no_progress');
    expect(stall?.detail).toContain('assignment');
    clickhouse.thaw();
    await running.untilReceived(1);
    await until(() => running.problems().length === 0, { timeoutMs: 5000 });
    expect(running.kafka?.status().epoch).toBe(1);
  } finally {
    await running.stop();
    await clickhouse.stop();
  }
});
