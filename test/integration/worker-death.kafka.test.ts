import { Piscina } from 'piscina';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { startPipeline } from '../support/pipeline.ts';
import { createKindTopics, produceEvents } from '../support/produce-events.ts';
import { expectBalancedLedger, expectChecksum, expectCommittedToEnd } from '../support/stored.ts';
import { until } from '../support/until.ts';

let clickhouse: TestClickHouse;
beforeAll(async () => {
  clickhouse = await startClickHouse();
});
afterAll(async () => {
  await clickhouse.stop();
});

test('a parse worker that dies loses nothing: its chunks are parsed again by another', async () => {
  const topics = await createKindTopics(6);
  // Only watches, to get hold of the pool that the pipeline made.
  const run = vi.spyOn(Piscina.prototype, 'run');
  const running = await startPipeline({
    clickhouse,
    topics: [...topics.values()],
    settings: { workerCount: 2 },
  });
  const pool = run.mock.contexts[0] as Piscina;
  const { coordinator } = running.pipeline;
  const producing = produceEvents({ topics, count: 100_000 });
  for (let killed = 0; killed < 3; killed++) {
    await until(() => coordinator.isParsing && pool.threads.length === 2, { intervalMs: 1 });
    await pool.threads[killed % 2]?.terminate();
  }
  const account = await producing;
  await running.untilReceived(account.sentCount);
  run.mockRestore();
  expect(running.telemetry.count('worker_died')).toBeGreaterThan(0);
  expect(pool.threads).toHaveLength(2);
  expect(await running.stop()).toBe(true);
  await expectChecksum(clickhouse.store, account);
  const sum = await expectBalancedLedger(clickhouse.store);
  expect(sum).toMatchObject({ stored: account.sentCount, dead_lettered: 0 });
  await expectCommittedToEnd(running.groupId, [...topics.values()]);
});
