/** A topic that is made again while it is being read: both topics whole, each under a number of its own. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SourceNames } from '../../src/api/logs/sources.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { createTopic, produce } from '../support/kafka.ts';
import { deleteTopic, makeTopic, topicIdOf } from '../support/kafka-topics.ts';
import { startPipeline } from '../support/pipeline.ts';
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

interface Stored {
  readonly source: number;
  readonly service: string;
  readonly rows: number;
  readonly offsets: number;
}

async function stored(): Promise<Stored[]> {
  return await clickhouse.store.query<Stored>(
    `SELECT source, service, count() AS rows, uniqExact(offset) AS offsets FROM logs
     GROUP BY source, service ORDER BY source`,
  );
}

test('a topic that was made again is stored under another number, from its first record on', async () => {
  const topic = await createTopic('generation');
  const ids = [await topicIdOf(topic)];
  await produce(topic, events('old', 300));
  const subject = await startPipeline({ clickhouse, topics: [topic] });
  await subject.untilReceived(300);
  await until(() => subject.pipeline.coordinator.inFlightCount === 0);
  await deleteTopic(topic);
  await makeTopic(topic);
  ids.push(await topicIdOf(topic));
  await produce(topic, events('new', 400));
  await subject.untilReceived(700);
  expect(await subject.stop()).toBe(true);
  expect(await stored()).toEqual([
    { source: 0, service: 'old', rows: 300, offsets: 300 },
    { source: 1, service: 'new', rows: 400, offsets: 400 },
  ]);
  const registered = await clickhouse.store.query(
    'SELECT number, topic, topic_id, generation FROM sources ORDER BY number',
  );
  expect(registered).toEqual([
    { number: 0, topic, topic_id: ids[0], generation: 0 },
    { number: 1, topic, topic_id: ids[1], generation: 1 },
  ]);
  const names = await new SourceNames(clickhouse.store, () => Date.now()).resolve([0, 1]);
  expect([names.get(0), names.get(1)]).toEqual([
    { kind: 'kafka', topic },
    { kind: 'kafka', topic },
  ]);
});

test('the same topic keeps its number over restarts', async () => {
  const topic = await createTopic('restart');
  const before = (await clickhouse.store.query('SELECT number FROM sources')).length;
  for (const count of [100, 200]) {
    await produce(topic, events('restart', 100));
    const subject = await startPipeline({ clickhouse, topics: [topic], groupId: `${topic}-group` });
    await until(async () => (await stored()).some((row) => row.service === 'restart' && row.rows === count));
    expect(await subject.stop()).toBe(true);
  }
  const after = (await clickhouse.store.query('SELECT number FROM sources')).length;
  expect(after).toBe(before + 1);
});
