/**
 * Which id each topic has now: Metadata request version 10, the first with topic ids (KIP-516; brokers from 2.8 on).
 * Layout: Kafka protocol, "Metadata". It never creates a topic.
 */
import { MillraceError } from '../errors.ts';
import {
  type FlexibleReader,
  FlexibleWriter,
  flexibleRequest,
  type ProtocolRequest,
} from './flexible-protocol.ts';

/**
 * The topics that exist, with their ids as Kafka prints them (22 characters). An id is empty when the broker cannot
 * tell: it is older than 2.8, or the cluster was upgraded and its topics have none yet.
 */
export type TopicIds = ReadonlyMap<string, string>;

export const METADATA_API_KEY = 3;
export const METADATA_VERSION = 10;
const UNKNOWN_TOPIC_OR_PARTITION = 3;
/** Of topics that exist, and whose partitions are another matter. */
const LEADER_NOT_AVAILABLE = 5;

export function topicIdsRequest(topics: readonly string[]): ProtocolRequest<TopicIds> {
  const body = new FlexibleWriter();
  body.array(topics, (topic) => body.uuid('').string(topic).noTags());
  // Not to be created; no lists of what the client is allowed to do with the cluster and the topics.
  body.int8(0).int8(0).int8(0).noTags();
  return flexibleRequest({
    apiKey: METADATA_API_KEY,
    apiVersion: METADATA_VERSION,
    apiName: 'Metadata',
    body: body.finish(),
    decode: readTopicIds,
  });
}

function readTopicIds(reader: FlexibleReader): TopicIds {
  reader.int32();
  reader.array(() => {
    skipBroker(reader);
  });
  reader.string();
  reader.int32();
  const ids = new Map<string, string>();
  reader.array(() => {
    readTopic(reader, ids);
  });
  return ids;
}

/** Id, host, port, rack. */
function skipBroker(reader: FlexibleReader): void {
  reader.int32();
  reader.string();
  reader.int32();
  reader.string();
  reader.skipTags();
}

function readTopic(reader: FlexibleReader, ids: Map<string, string>): void {
  const errorCode = reader.int16();
  const topic = reader.string();
  const id = reader.uuid();
  reader.int8();
  reader.array(() => {
    skipPartition(reader);
  });
  reader.int32();
  reader.skipTags();
  if (errorCode === UNKNOWN_TOPIC_OR_PARTITION) return;
  if (errorCode !== 0 && errorCode !== LEADER_NOT_AVAILABLE) {
    const what = `Cannot learn about topic ${JSON.stringify(topic)}`;
    throw new MillraceError('bus_unavailable', `${what}: Kafka answers with error ${errorCode}.`);
  }
  ids.set(topic, id);
}

/** Error, number, leader and its epoch, replicas, those in sync, those offline. */
function skipPartition(reader: FlexibleReader): void {
  reader.int16();
  for (let i = 0; i < 3; i++) reader.int32();
  for (let i = 0; i < 3; i++) reader.array(() => reader.int32());
  reader.skipTags();
}
