import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProductionAccount } from '../../src/commands/produce-loop.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { startPipeline, type TestPipeline } from '../support/pipeline.ts';
import { createKindTopics, type KindTopics, produceEvents } from '../support/produce-events.ts';
import {
  expectBalancedLedger,
  expectChecksum,
  expectCommittedToEnd,
  expectKindCounts,
  expectRollups,
} from '../support/stored.ts';

const EVENT_COUNT = 100_000;

describe(`${EVENT_COUNT} mixed events over 6 partitions of each kind's topic`, () => {
  let clickhouse: TestClickHouse;
  let topics: KindTopics;
  let running: TestPipeline;
  let account: ProductionAccount;
  beforeAll(async () => {
    [clickhouse, topics] = await Promise.all([startClickHouse(), createKindTopics(6)]);
    running = await startPipeline({ clickhouse, topics: [...topics.values()] });
    account = await produceEvents({ topics, count: EVENT_COUNT });
    await running.untilReceived(EVENT_COUNT);
    if (!(await running.stop())) throw new Error('Something was left after the drain.');
  });
  afterAll(async () => {
    await clickhouse.stop();
  });

  test('each kind has as many rows as were produced, and ClickHouse computes the same checksum', async () => {
    await expectKindCounts(clickhouse.store, account, topics);
    await expectChecksum(clickhouse.store, account);
  });

  test.each(['1m', '1h'] as const)(
    'the rollups per %s equal a recomputation from logs',
    async (resolution) => {
      await expectRollups(clickhouse.store, resolution);
    },
  );

  test('quantile states of the minutes merge into those of all events', async () => {
    const [row] = await clickhouse.store.query<{ minutes: number[]; hours: number[]; all: number[] }>(
      `SELECT (SELECT quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(cpu_quantiles) FROM host_metrics_1m) AS minutes,
              (SELECT quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(cpu_quantiles) FROM host_metrics_1h) AS hours,
              (SELECT quantilesDD(0.01, 0.5, 0.95, 0.99)(cpu_usage) FROM logs) AS all`,
    );
    // The first parameter of quantilesDD is its accuracy.
    expect(row?.all).toHaveLength(3);
    expect(row?.minutes).toEqual(row?.all);
    expect(row?.hours).toEqual(row?.all);
  });

  test('received = stored + filtered + dead-lettered, by the ledger', async () => {
    const sum = await expectBalancedLedger(clickhouse.store);
    expect(sum).toMatchObject({ received: EVENT_COUNT, stored: EVENT_COUNT, dead_lettered: 0, filtered: 0 });
  });

  test('the group has committed the end of every partition', async () => {
    await expectCommittedToEnd(running.groupId, [...topics.values()]);
  });

  test('at least 99 % take the fast path', () => {
    const { slowPathCount } = running.pipeline.coordinator.totals;
    expect(slowPathCount / EVENT_COUNT).toBeLessThanOrEqual(0.01);
  });
});
