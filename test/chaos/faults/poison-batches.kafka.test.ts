/** What a broker makes of poison in its segments: it hands it on, byte for byte. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTopic, produce } from '../../support/kafka.ts';
import { startBroker, type TestBroker } from '../../support/kafka-broker.ts';
import { allBatches, collect } from '../../support/source-collector.ts';
import { appendPoison, POISON_BATCHES } from './poison-batches.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await startBroker();
});
afterAll(async () => {
  await broker.stop();
});

test('batches put into the segment of a stopped broker are fetched as they are, and it takes more behind them', async () => {
  const brokers = [broker.brokers];
  const topic = await createTopic('poison', 1, { brokers });
  await produce(topic, [{ value: 'before' }], brokers);
  await broker.shutdown();
  const placed = await appendPoison(broker, { topic, partition: 0 }, POISON_BATCHES);
  await broker.restart();
  await produce(topic, [{ value: 'after' }], brokers);
  const collector = await collect({ brokers, topics: [topic] });
  try {
    await collector.until(() => allBatches(collector.deliveries).length === POISON_BATCHES.length + 2);
    const fetched = collector.deliveries.flatMap(({ batches }) => batches);
    expect(fetched.map(({ baseOffset, lastOffset }) => [baseOffset, lastOffset])).toEqual([
      [0, 0],
      ...placed.map(({ firstOffset, lastOffset }) => [firstOffset, lastOffset]),
      [1 + 3 * POISON_BATCHES.length, 1 + 3 * POISON_BATCHES.length],
    ]);
  } finally {
    await collector.stop();
  }
});
