/**
 * What Kafka says of one topic: its cluster, the bounds of its partitions, and which offsets times stand for.
 */
import type { Admin } from 'kafkajs';
import { errorMessage, MillraceError, quoteValue } from '../errors.ts';
import type { TopicView } from '../replay/ports.ts';
import type { Telemetry } from '../telemetry.ts';
import { createKafkaClient, type KafkaConnection } from './kafka-client.ts';

export interface TopicViewRequest extends KafkaConnection {
  readonly topic: string;
  /** Milliseconds since the epoch. */
  readonly timesMs: readonly number[];
}

/** Throws `not_found` when there is no such topic (none is created), `bus_unavailable` when Kafka cannot be reached. */
export async function readTopicView(request: TopicViewRequest, telemetry: Telemetry): Promise<TopicView> {
  const { kafka, sockets } = createKafkaClient(request, telemetry);
  const admin = kafka.admin();
  try {
    await admin.connect();
    return await view(admin, request);
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    const what = `Cannot read topic ${quoteValue(request.topic)}: ${errorMessage(error)}`;
    throw new MillraceError('bus_unavailable', what, { cause: error });
  } finally {
    await admin.disconnect().catch(() => undefined);
    sockets.close();
  }
}

async function view(admin: Admin, { topic, timesMs }: TopicViewRequest): Promise<TopicView> {
  const { clusterId } = await admin.describeCluster();
  if (!(await admin.listTopics()).includes(topic)) {
    throw new MillraceError('not_found', `Kafka has no topic ${quoteValue(topic)}.`);
  }
  const bounds = await admin.fetchTopicOffsets(topic);
  const offsetsAt = new Map<number, ReadonlyMap<number, number>>();
  for (const timeMs of timesMs) {
    const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, timeMs);
    offsetsAt.set(timeMs, new Map(offsets.map(({ partition, offset }) => [partition, Number(offset)])));
  }
  const partitions = bounds.map(({ partition, low, high }) => ({
    partition,
    earliestOffset: Number(low),
    endOffset: Number(high),
  }));
  return { clusterId, partitions, offsetsAt };
}
