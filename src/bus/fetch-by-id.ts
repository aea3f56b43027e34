/**
 * Fetch request version 13 (KIP-516; brokers from 3.1 on): it names topics by their ids. What it brings is of exactly
 * that topic; one that was deleted, or made again under the same name, is refused by the broker.
 * Layout: Kafka protocol, "Fetch". The answer has the shape that kafkajs's own decoder of version 11 gives.
 */
import {
  type FlexibleReader,
  FlexibleWriter,
  flexibleRequest,
  type ProtocolRequest,
} from './flexible-protocol.ts';
import { splitBatches, type UndecodedBatch } from './undecoded-batches.ts';

/** As kafkajs calls its `broker.fetch`. */
export interface FetchRequest {
  readonly isolationLevel: number;
  readonly maxWaitTime: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly rackId?: string;
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly AskedPartition[];
  }[];
}

interface AskedPartition {
  readonly partition: number;
  readonly fetchOffset: string;
  readonly maxBytes: number;
}

interface AnsweredPartition {
  readonly partition: number;
  readonly errorCode: number;
  readonly highWatermark: string;
  readonly lastStableOffset: string;
  readonly lastStartOffset: string;
  readonly abortedTransactions: readonly { readonly producerId: string; readonly firstOffset: string }[];
  readonly preferredReadReplica: number;
  readonly messages: readonly UndecodedBatch[];
}

export interface FetchAnswer {
  readonly throttleTime: number;
  readonly clientSideThrottleTime: number;
  readonly errorCode: number;
  readonly sessionId: number;
  readonly responses: readonly {
    readonly topicName: string;
    readonly partitions: readonly AnsweredPartition[];
  }[];
}

export const FETCH_API_KEY = 1;
export const FETCH_BY_ID_VERSION = 13;
const CONSUMER = -1;
const NO_SESSION = { id: 0, epoch: -1 };
/** Of a leader epoch or an offset: nothing is claimed about it. */
const UNKNOWN = -1;

/** `ids` has one for every topic of the request, none empty. */
export function fetchByIdRequest(
  request: FetchRequest,
  ids: ReadonlyMap<string, string>,
): ProtocolRequest<FetchAnswer> {
  const names = new Map([...ids].map(([topic, id]) => [id, topic]));
  return flexibleRequest({
    apiKey: FETCH_API_KEY,
    apiVersion: FETCH_BY_ID_VERSION,
    apiName: 'Fetch',
    body: encodeFetch(request, ids),
    decode: (reader) => decodeFetch(reader, names),
  });
}

function encodeFetch(request: FetchRequest, ids: ReadonlyMap<string, string>): Buffer {
  const body = new FlexibleWriter();
  body.int32(CONSUMER).int32(request.maxWaitTime).int32(request.minBytes).int32(request.maxBytes);
  body.int8(request.isolationLevel).int32(NO_SESSION.id).int32(NO_SESSION.epoch);
  body.array(shuffled(request.topics), ({ topic, partitions }) => {
    body.uuid(ids.get(topic) ?? '');
    body.array(partitions, ({ partition, fetchOffset, maxBytes }) => {
      body.int32(partition).int32(UNKNOWN).int64(BigInt(fetchOffset)).int32(UNKNOWN);
      body.int64(BigInt(UNKNOWN)).int32(maxBytes).noTags();
    });
    body.noTags();
  });
  // No topic of a session is given up.
  body.array([], () => undefined);
  return body
    .string(request.rackId ?? '')
    .noTags()
    .finish();
}

/** The broker fills its answer in the order asked for, so a fixed one would starve the last (KIP-74). */
function shuffled(topics: FetchRequest['topics']): FetchRequest['topics'] {
  return topics
    .flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partitions: [partition] })))
    .map((one) => ({ one, rank: Math.random() }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ one }) => one);
}

function decodeFetch(reader: FlexibleReader, names: ReadonlyMap<string, string>): FetchAnswer {
  const clientSideThrottleTime = reader.int32();
  const errorCode = reader.int16();
  const sessionId = reader.int32();
  const responses = reader.array(() => {
    const topicName = names.get(reader.uuid()) ?? '';
    const partitions = reader.array(() => readPartition(reader));
    reader.skipTags();
    return { topicName, partitions };
  });
  return { throttleTime: 0, clientSideThrottleTime, errorCode, sessionId, responses };
}

function readPartition(reader: FlexibleReader): AnsweredPartition {
  const partition = {
    partition: reader.int32(),
    errorCode: reader.int16(),
    highWatermark: reader.int64().toString(),
    lastStableOffset: reader.int64().toString(),
    lastStartOffset: reader.int64().toString(),
    abortedTransactions: reader.array(() => readAborted(reader)),
    preferredReadReplica: reader.int32(),
    messages: splitBatches(reader.bytes()),
  };
  reader.skipTags();
  // kafkajs hands on the list itself, and nothing else of this.
  const value = Number(partition.lastStartOffset);
  Object.defineProperty(partition.messages, 'logStartOffset', { value });
  return partition;
}

function readAborted(reader: FlexibleReader): { readonly producerId: string; readonly firstOffset: string } {
  const producerId = reader.int64().toString();
  const firstOffset = reader.int64().toString();
  reader.skipTags();
  return { producerId, firstOffset };
}
