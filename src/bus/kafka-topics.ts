/** What is asked of a Kafka cluster before reading from it: its id, its size, and that the topics exist. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Admin } from 'kafkajs';
import { MillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import type { KafkaClient } from './kafka-client.ts';

export interface ClusterInfo {
  readonly clusterId: string;
  readonly brokerCount: number;
}

export interface WantedTopics {
  readonly topics: readonly string[];
  /** Partitions of a topic that has to be created; its replication is the broker's default. */
  readonly partitionCount: number;
}

const LEADERS_TIMEOUT_MS = 10_000;
const LEADERS_POLL_MS = 100;

/** Creates the topics that the cluster lacks and tells which. Throws what kafkajs throws. */
export async function prepareCluster(
  { kafka, sockets }: KafkaClient,
  wanted: WantedTopics,
  telemetry: Telemetry,
): Promise<ClusterInfo> {
  const admin = kafka.admin();
  admin.on(admin.events.REQUEST_TIMEOUT, ({ payload }) => {
    sockets.cut(payload.broker);
  });
  await admin.connect();
  try {
    const cluster = await admin.describeCluster();
    const existing = new Set(await admin.listTopics());
    const missing = wanted.topics.filter((topic) => !existing.has(topic));
    if (missing.length > 0) {
      const numPartitions = wanted.partitionCount;
      const isDone = await admin.createTopics({
        topics: missing.map((topic) => ({ topic, numPartitions })),
        waitForLeaders: false,
      });
      for (const topic of missing) await untilLed(admin, topic);
      // False: somebody else created them in the meantime.
      if (isDone) {
        telemetry.emit('kafka_topics_created', { topics: missing.join(','), partitionCount: numPartitions });
      }
    }
    return { clusterId: cluster.clusterId, brokerCount: cluster.brokers.length };
  } finally {
    await admin.disconnect();
  }
}

/**
 * Waits until the leader of every partition answers for it. kafkajs's own wait looks only at the metadata, and a
 * produce request that comes before a leader is ready is sent again as a whole: what the others took is then there
 * twice.
 */
async function untilLed(admin: Admin, topic: string): Promise<void> {
  const endMs = Date.now() + LEADERS_TIMEOUT_MS;
  for (;;) {
    try {
      await admin.fetchTopicOffsets(topic);
      return;
    } catch (error) {
      if (Date.now() > endMs) throw error;
      await delay(LEADERS_POLL_MS);
    }
  }
}

/** Offset below which the broker has deleted everything, and the end of what is committed, per partition. */
export interface PartitionBounds {
  readonly partition: number;
  readonly earliestOffset: number;
  /** Exclusive. */
  readonly endOffset: number;
}

/** Bounds of every partition of `topic`. Throws `not_found` when there is no such topic. */
export async function partitionBounds(
  { kafka }: KafkaClient,
  topic: string,
): Promise<readonly PartitionBounds[]> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    if (!(await admin.listTopics()).includes(topic)) {
      throw new MillraceError(
        'not_found',
        `Cannot read topic ${JSON.stringify(topic)}: the cluster has none.`,
      );
    }
    const offsets = await admin.fetchTopicOffsets(topic);
    return offsets.map(({ partition, low, high }) => ({
      partition,
      earliestOffset: Number(low),
      endOffset: Number(high),
    }));
  } finally {
    await admin.disconnect();
  }
}

/** Number of partitions of `topic`. */
export async function partitionCount({ kafka }: KafkaClient, topic: string): Promise<number> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return topics[0]?.partitions.length ?? 0;
  } finally {
    await admin.disconnect();
  }
}
