/** What happens to topics under a program that reads them. */
import type { Admin } from 'kafkajs';
import { kafkaBrokers, kafkaClient } from './kafka.ts';
import { runKafkaTool } from './kafka-jars.ts';
import { until } from './until.ts';

async function withAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafkaClient().admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

export async function deleteTopic(topic: string): Promise<void> {
  await withAdmin((admin) => admin.deleteTopics({ topics: [topic] }));
}

/** Resolves when the leaders answer for the partitions. */
export async function makeTopic(topic: string, numPartitions = 1): Promise<void> {
  await withAdmin(async (admin) => {
    const isMade = (): Promise<boolean> =>
      admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: false }).catch(() => false);
    await until(isMade, { timeoutMs: 30_000 });
    const areReady = async (): Promise<boolean> =>
      (await admin.fetchTopicOffsets(topic)).length === numPartitions;
    await until(() => areReady().catch(() => false), { timeoutMs: 30_000 });
  });
}

export async function topicExists(topic: string): Promise<boolean> {
  return await withAdmin(async (admin) => (await admin.listTopics()).includes(topic));
}

/** Deletes the records of partition 0 below `offset`. */
export async function deleteRecords(topic: string, offset: number): Promise<void> {
  const partitions = [{ partition: 0, offset: String(offset) }];
  await withAdmin(async (admin) => {
    // kafkajs deletes only from topics that it has asked about.
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({ topic, partitions });
  });
}

/** As Kafka's own tool prints it. */
export async function topicIdOf(topic: string): Promise<string> {
  const args = ['--bootstrap-server', kafkaBrokers().join(','), '--describe', '--topic', topic];
  const printed = await runKafkaTool('org.apache.kafka.tools.TopicCommand', args);
  return /TopicId: (\S+)/.exec(printed)?.[1] ?? '';
}
