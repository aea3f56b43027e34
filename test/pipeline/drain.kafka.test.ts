/** Drains of a member whose group has gone on, or rebalances meanwhile: what is in the ledger is owed to nobody. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadKafkajs } from '../../src/bus/load-kafkajs.ts';
import type { BlockStore } from '../../src/pipeline/ports.ts';
import { createBlockStore } from '../../src/store/block-store.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { createTopic, kafkaClient, produce, uniqueName } from '../support/kafka.ts';
import { startPipeline } from '../support/pipeline.ts';
import { expectBalancedLedger } from '../support/stored.ts';
import { until } from '../support/until.ts';

let clickhouse: TestClickHouse;
beforeAll(async () => {
  clickhouse = await startClickHouse();
});
afterAll(async () => {
  await clickhouse.stop();
});

const COUNT = 100;
const SESSION_MS = 30_000;
/** Kafka's client allows no longer silence. */
const SILENT_MS = SESSION_MS - 1;

async function produceEvents(topic: string): Promise<void> {
  const value = JSON.stringify({ service: 'drain', message: 'event' });
  await produce(
    topic,
    Array.from({ length: COUNT }, () => ({ partition: 0, value })),
  );
}

async function expectStoredOnce(topic: string, count: number): Promise<void> {
  const rows = await clickhouse.store.query(
    `SELECT count() AS rows, uniqExact(partition, offset) AS records FROM logs
     WHERE source = (SELECT any(number) FROM sources WHERE topic = {topic:String})`,
    { topic },
  );
  expect(rows).toEqual([{ rows: count, records: count }]);
  await expectBalancedLedger(clickhouse.store);
}

/** A store whose inserts wait until they are let through. */
function heldStore(): { readonly store: BlockStore; release(): void; readonly isHolding: () => boolean } {
  const store = createBlockStore(clickhouse.store, { owner: 'held' });
  let release: () => void = () => undefined;
  let isHolding = false;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  return {
    release,
    isHolding: () => isHolding,
    store: {
      ...store,
      async insertBlocks(table, blocks, tokens) {
        isHolding = true;
        await gate;
        await store.insertBlocks(table, blocks, tokens);
      },
    },
  };
}

/** A member that joins and is never heard of again: the group waits for it until its session is over. */
async function joinSilently(groupId: string, topic: string) {
  const consumer = kafkaClient().consumer({
    groupId,
    sessionTimeout: SESSION_MS,
    heartbeatInterval: SILENT_MS,
  });
  const joined = new Promise<void>((resolve) => {
    consumer.on(consumer.events.GROUP_JOIN, () => resolve());
  });
  await consumer.connect();
  await consumer.subscribe({ topic });
  await consumer.run({ autoCommit: false, eachMessage: () => Promise.resolve() });
  await joined;
  return consumer;
}

interface Coordinator {
  leaveGroup(member: { readonly groupId: string; readonly memberId: string }): Promise<unknown>;
}
interface GroupCluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  findGroupCoordinator(group: { readonly groupId: string }): Promise<Coordinator>;
}

/** Says to the broker in their names that all members leave; they learn of it from their next heartbeat. */
async function removeMembers(groupId: string): Promise<void> {
  const client = kafkaClient();
  let cluster: GroupCluster | undefined;
  client.consumer({
    groupId,
    partitionAssigners: [
      (config) => {
        // The one way to the requests that kafkajs has no method for.
        cluster = config.cluster as unknown as GroupCluster;
        return loadKafkajs().PartitionAssigners.roundRobin(config);
      },
    ],
  });
  const admin = client.admin();
  await Promise.all([admin.connect(), cluster!.connect()]);
  const { groups } = await admin.describeGroups([groupId]);
  const coordinator = await cluster!.findGroupCoordinator({ groupId });
  const members = groups.flatMap((group) => group.members);
  expect(members).toHaveLength(1);
  for (const { memberId } of members) await coordinator.leaveGroup({ groupId, memberId });
  await Promise.all([admin.disconnect(), cluster!.disconnect()]);
}

describe('a drain', { timeout: 120_000 }, () => {
  test('is one although the group has gone on without the member and refuses its commit', async () => {
    const topic = await createTopic('drain', 1);
    const groupId = uniqueName('drain');
    const late = await startPipeline({
      clickhouse,
      topics: [topic],
      groupId,
      kafka: { sessionTimeoutMs: SESSION_MS, heartbeatIntervalMs: SILENT_MS },
    });
    await produceEvents(topic);
    await late.untilReceived(COUNT);
    await until(() => late.telemetry.count('offsets_committed') > 0);
    await removeMembers(groupId);
    await produceEvents(topic);
    await late.untilReceived(2 * COUNT);
    await until(() => late.telemetry.count('commit_failed') > 0);
    expect(await late.stop()).toBe(true);

    const next = await startPipeline({ clickhouse, topics: [topic], groupId });
    await produceEvents(topic);
    await next.untilReceived(COUNT);
    expect(await next.stop()).toBe(true);
    await expectStoredOnce(topic, 3 * COUNT);
  });

  test('does not wait for a rebalance to end, behind which its commit hangs', async () => {
    const topic = await createTopic('drain', 2);
    const groupId = uniqueName('drain');
    const held = heldStore();
    const subject = await startPipeline({
      clickhouse,
      topics: [topic],
      groupId,
      blockStore: held.store,
      kafka: { sessionTimeoutMs: 6000, heartbeatIntervalMs: 200 },
    });
    await until(() => subject.kafka?.status().partitionCount === 2);
    const silent = await joinSilently(groupId, topic);
    await until(() => subject.kafka?.status().partitionCount === 1);
    const joining = kafkaClient().consumer({ groupId });
    try {
      const value = JSON.stringify({ service: 'drain', message: 'event' });
      await produce(
        topic,
        [0, 1].map((partition) => ({ partition, value })),
      );
      await until(held.isHolding);
      await joining.connect();
      await joining.subscribe({ topic });
      // Does not resolve before the silent member is given up.
      joining.run({ autoCommit: false, eachMessage: () => Promise.resolve() }).catch(() => undefined);
      await until(() =>
        subject.telemetry.events.some(({ fields }) => /re-joining/.test(String(fields['message']))),
      );
      // The request to join is on its way, and with it the answer to all that follows on its connection.
      await delay(1000);
      held.release();
      const beganAt = Date.now();
      expect(await subject.stop()).toBe(true);
      expect(Date.now() - beganAt).toBeLessThan(15_000);
      await expectStoredOnce(topic, 1);
    } finally {
      held.release();
      await silent.disconnect();
      await joining.disconnect();
    }
  });
});
