/** ClickHouse stands still, dies, or has no room while events come in: the pipeline waits, says why, and goes on. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { startPipeline, type TestPipeline } from '../support/pipeline.ts';
import { createKindTopics, type KindTopics, produceEvents } from '../support/produce-events.ts';
import { expectBalancedLedger, expectChecksum, expectCommittedToEnd } from '../support/stored.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;
const FREEZE_MS = 8000;
/** Small, so that a short fault fills every buffer. */
const BUDGET_BYTES = 24 * MIB;
const BLOCK_SHARE = 0.35;
/** What one parse task may still add when the limit is reached: tasks under way, a chunk's blocks each. */
const BLOCK_SLACK_BYTES = 4 * MIB;

let clickhouse: TestClickHouse;
let topics: KindTopics;
let running: TestPipeline | undefined;
beforeEach(async () => {
  [clickhouse, topics] = await Promise.all([startClickHouse(), createKindTopics(6)]);
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
  await clickhouse.stop();
});

async function start(options: Partial<Parameters<typeof startPipeline>[0]> = {}): Promise<TestPipeline> {
  running = await startPipeline({
    clickhouse,
    topics: [...topics.values()],
    settings: { memoryBudgetBytes: BUDGET_BYTES, ...options.settings },
    kafka: { sessionTimeoutMs: 6000, heartbeatIntervalMs: 500 },
    ...(options.freeDiskBytes === undefined ? {} : { freeDiskBytes: options.freeDiskBytes }),
  });
  return running;
}

/** Watches the buffers until `end`: the highest fill of each. */
function watchBuffers({ pipeline }: TestPipeline) {
  const peak = { arenaBytes: 0, blockBytes: 0 };
  const timer = setInterval(() => {
    peak.arenaBytes = Math.max(peak.arenaBytes, pipeline.arena.usedBytes);
    peak.blockBytes = Math.max(peak.blockBytes, pipeline.coordinator.blockBytes);
  }, 5);
  return {
    end() {
      clearInterval(timer);
      return peak;
    },
  };
}

function expectWithinBudget(pipeline: TestPipeline, peak: { arenaBytes: number; blockBytes: number }): void {
  expect(peak.arenaBytes).toBeGreaterThan(0);
  expect(peak.arenaBytes).toBeLessThanOrEqual(pipeline.pipeline.arena.capacityBytes);
  expect(peak.blockBytes).toBeGreaterThan(0);
  expect(peak.blockBytes).toBeLessThanOrEqual(BUDGET_BYTES * BLOCK_SHARE + BLOCK_SLACK_BYTES);
}

async function finish(pipeline: TestPipeline): Promise<void> {
  running = undefined;
  expect(await pipeline.stop()).toBe(true);
}

describe('ClickHouse stands still (SIGSTOP)', () => {
  test('buffers fill to their bound and no further, the group stays as it is, and all arrives once', async () => {
    const pipeline = await start();
    const first = await produceEvents({ topics, count: 5000 });
    await pipeline.untilReceived(first.sentCount);
    const epoch = pipeline.kafka?.status().epoch;
    const buffers = watchBuffers(pipeline);
    clickhouse.freeze();
    const [account] = await Promise.all([
      produceEvents({ topics, count: 150_000, generator: { firstSeq: 5001, seed: 2 } }),
      delay(FREEZE_MS),
    ]);
    // Full buffers mean that the source waits: more is in Kafka than was taken.
    const { pipeline: parts } = pipeline;
    const { arena, coordinator } = parts;
    await until(
      () =>
        arena.usedBytes > 0.9 * arena.capacityBytes || coordinator.blockBytes >= BUDGET_BYTES * BLOCK_SHARE,
      { timeoutMs: 10_000, seen: () => ({ arena: arena.usedBytes, blocks: coordinator.blockBytes }) },
    );
    const takenCount = [...coordinator.lanes].reduce((sum, lane) => sum + lane.takenOffset, 0);
    expect(takenCount).toBeLessThan(155_000);
    expect(pipeline.kafka?.status()).toMatchObject({ epoch, isConnected: true });
    clickhouse.thaw();
    await pipeline.untilReceived(155_000);
    expectWithinBudget(pipeline, buffers.end());
    expect(pipeline.kafka?.status()).toMatchObject({ epoch, isConnected: true });
    expect(pipeline.problems()).toEqual([]);
    await finish(pipeline);
    await expectChecksum(clickhouse.store, account);
    await expectChecksum(clickhouse.store, first);
    await expectBalancedLedger(clickhouse.store);
    await expectCommittedToEnd(pipeline.groupId, [...topics.values()]);
  });
});

describe('ClickHouse is killed (SIGKILL)', () => {
  test('and started again under load: /readyz says so meanwhile, and every event arrives', async () => {
    const pipeline = await start();
    const buffers = watchBuffers(pipeline);
    const producing = produceEvents({ topics, count: 100_000 });
    await pipeline.untilReceived(5000);
    const seen = new Set<string>();
    const timer = setInterval(() => {
      for (const reason of pipeline.problems()) seen.add(reason);
    }, 10);
    clickhouse.kill();
    const account = await producing;
    await pipeline.untilReceived(account.sentCount);
    clearInterval(timer);
    expectWithinBudget(pipeline, buffers.end());
    expect([...seen].filter((reason) => reason !== 'commit_failed')).toEqual(['clickhouse_unavailable']);
    await until(() => pipeline.problems().length === 0, { timeoutMs: 5000, seen: () => pipeline.problems() });
    expect(pipeline.telemetry.count('insert_failed')).toBeGreaterThan(0);
    await finish(pipeline);
    expect(await countSeqs()).toEqual({ distinct: account.sentCount, events: account.sentCount });
    await expectChecksum(clickhouse.store, account);
    await expectCommittedToEnd(pipeline.groupId, [...topics.values()]);
  });
});

async function countSeqs(): Promise<{ distinct: number; events: number }> {
  const [row] = await clickhouse.store.query<{ distinct: number; events: number }>(
    'SELECT uniqExact(source, partition, offset) AS distinct, count() AS events FROM logs',
  );
  return row ?? { distinct: 0, events: 0 };
}

describe('the disk is nearly full', () => {
  test('nothing is written, /readyz says disk_low, and with room again it goes on by itself', async () => {
    const room = { freeBytes: 10 * MIB };
    const pipeline = await start({
      settings: { minFreeDiskBytes: 100 * MIB },
      freeDiskBytes: () => Promise.resolve(room.freeBytes),
    });
    expect(pipeline.pipeline.isDiskLow).toBe(true);
    const account = await produceEvents({ topics, count: 20_000 });
    await until(() => pipeline.pipeline.coordinator.inFlightCount > 0);
    await delay(1000);
    expect(pipeline.problems()).toEqual(['disk_low']);
    expect(pipeline.pipeline.coordinator.totals.storedCount).toBe(0);
    expect(await countSeqs()).toEqual({ distinct: 0, events: 0 });
    room.freeBytes = 1000 * MIB;
    await pipeline.untilReceived(account.sentCount);
    expect(pipeline.problems()).toEqual([]);
    expect(pipeline.telemetry.count('disk_recovered')).toBe(1);
    await finish(pipeline);
    await expectChecksum(clickhouse.store, account);
  });

  test('the free space that ClickHouse reports is what counts', async () => {
    const pipeline = await start({ settings: { minFreeDiskBytes: Number.MAX_SAFE_INTEGER } });
    expect(pipeline.problems()).toContain('disk_low');
    expect(pipeline.pipeline.health.problems[0]?.detail).toMatch(/^\d+ MiB free, /);
  });
});
