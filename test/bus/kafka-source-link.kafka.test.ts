import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Link, startLink } from '../chaos/faults/link.ts';
import { createTopic, produce } from '../support/kafka.ts';
import { startBroker, type TestBroker } from '../support/kafka-broker.ts';
import { type Collector, collect } from '../support/source-collector.ts';

const RECORD_COUNT = 3000;
const RECORD_BYTES = 1000;

let link: Link;
let broker: TestBroker;
let collector: Collector;
beforeEach(async () => {
  link = await startLink(1);
  broker = await startBroker({ linkPort: link.port });
  link.connectTo(broker.linkTargetPort);
});
afterEach(async () => {
  await collector.stop();
  await broker.stop();
  await link.stop();
});

describe('Kafka source on a bad link', () => {
  it('goes on after connections were reset in the middle of a response', async () => {
    const brokers = [broker.brokers];
    const topic = await createTopic('reset', 1, { brokers });
    const value = 'x'.repeat(RECORD_BYTES);
    for (let sent = 0; sent < RECORD_COUNT; sent += 500) {
      await produce(
        topic,
        Array.from({ length: 500 }, () => ({ value })),
        brokers,
      );
    }
    collector = await collect({ topics: [topic], brokers: [link.address], sessionTimeoutMs: 30_000 });
    for (let reset = 0; reset < 3; reset++) {
      const { accepted } = link.counts;
      // The whole topic in one response would take ten seconds: it is reset in its middle.
      link.set({ bytesPerSecond: 300_000 });
      await collector.until(
        () => collector.source.status().isConnected && link.crossedBytes > (reset + 1) * 300_000,
      );
      link.resetAll();
      await collector.until(() => link.counts.accepted > accepted);
    }
    link.set({});
    await collector.until(() => collector.recordCount() === RECORD_COUNT, 15_000);
    const offsets = collector.deliveries.flatMap(({ batches }) =>
      batches.map(({ baseOffset }) => baseOffset),
    );
    expect(offsets).toEqual(Array.from({ length: RECORD_COUNT / 500 }, (_, i) => i * 500));
  });
});
