/** A topic for which no source number is left: it alone is not read, and readiness says why. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { createTopic, kafkaClient, produce } from '../support/kafka.ts';
import { startPipeline, type TestPipeline } from '../support/pipeline.ts';
import { until } from '../support/until.ts';

let clickhouse: TestClickHouse;
beforeAll(async () => {
  clickhouse = await startClickHouse();
});
afterAll(async () => {
  await clickhouse.stop();
});

function events(service: string, count: number): { value: string }[] {
  return Array.from({ length: count }, (_, i) => ({ value: JSON.stringify({ service, message: `${i}` }) }));
}

async function committed(groupId: string, topic: string): Promise<string[]> {
  const admin = kafkaClient().admin();
  await admin.connect();
  try {
    const [offsets] = await admin.fetchOffsets({ groupId, topics: [topic] });
    return offsets?.partitions.map(({ offset }) => offset) ?? [];
  } finally {
    await admin.disconnect();
  }
}

function countOf({ telemetry }: TestPipeline, name: string): number {
  return telemetry.events.filter(({ event }) => event === name).length;
}

test('the others are read on, and nothing of it is passed over', async () => {
  const { store } = clickhouse;
  const topics = [await createTopic('known'), await createTopic('too-many', 2)];
  const [known = '', other = ''] = topics;
  await produce(known, events('known', 300));
  await produce(other, events('other', 300));
  const subject = await startPipeline({ clickhouse, topics: [known] });
  await subject.untilReceived(300);
  expect(await subject.stop()).toBe(true);
  await store.insertJson('sources', [
    { kind: 'kafka', cluster: 'c', topic: 'last', number: 255, generation: 0 },
  ]);

  const both = await startPipeline({ clickhouse, topics, groupId: subject.groupId });
  await until(() => both.problems().includes('sources_exhausted'), { timeoutMs: 20_000 });
  await produce(known, events('known', 200));
  await both.untilReceived(200, 30_000);
  await produce(other, events('other', 10));
  await until(() => both.problems().join() === 'sources_exhausted', { timeoutMs: 10_000 });
  expect(both.pipeline.health.problems[0]?.detail).toContain(other);
  expect(countOf(both, 'kafka_assigned')).toBe(1);
  expect(countOf(both, 'kafka_crashed')).toBe(0);
  await until(async () => (await committed(subject.groupId, known))[0] === '500', { timeoutMs: 20_000 });
  expect(await committed(subject.groupId, other)).toEqual(['-1', '-1']);
  expect(await both.stop()).toBe(true);
  expect(await store.query('SELECT service, count() AS rows FROM logs GROUP BY service')).toEqual([
    { service: 'known', rows: 500 },
  ]);

  // Nothing of it was lost: with a number it is read from its first record on.
  await store.command(
    'ALTER TABLE sources DELETE WHERE number = 255',
    {},
    { settings: { mutations_sync: 1 } },
  );
  const again = await startPipeline({ clickhouse, topics, groupId: subject.groupId });
  await again.untilReceived(310);
  expect(again.problems()).not.toContain('sources_exhausted');
  expect(await again.stop()).toBe(true);
});
