/**
 * Topic ids for kafkajs 2.2.4, which knows none. A consumer's cluster is given the ids that its topics have; from
 * then on it reads these topics and no others of the same names:
 * - it fetches by id where the broker can (Kafka 3.1 and newer), and by name, asking for the ids after each fetch
 *   that brought something, where it cannot (2.8 to 3.0);
 * - a commit says which id it is for, and one that was made for another id does not count.
 * Without ids (brokers older than 2.8) nothing is different from stock kafkajs.
 */
import { setTimeout as delay } from 'node:timers/promises';
import {
  FETCH_API_KEY,
  FETCH_BY_ID_VERSION,
  type FetchAnswer,
  type FetchRequest,
  fetchByIdRequest,
} from './fetch-by-id.ts';
import type { ProtocolRequest } from './flexible-protocol.ts';
import { METADATA_API_KEY, METADATA_VERSION, type TopicIds, topicIdsRequest } from './topic-metadata.ts';

interface Broker {
  /** By API key; null before it was connected to. */
  readonly versions: Readonly<Record<number, { readonly maxVersion: number }>> | null;
  readonly connectionPool: { send<T>(protocol: ProtocolRequest<T>): Promise<T> };
  disconnect(): Promise<void>;
  fetch: (this: Broker, request: FetchRequest) => Promise<FetchAnswer>;
  offsetFetch: (this: Broker, request: unknown) => Promise<OffsetsAnswer>;
}

interface OffsetsAnswer {
  readonly responses: readonly {
    readonly topic: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly offset: string;
      readonly metadata: string | null;
    }[];
  }[];
}

/** kafkajs's cluster of one consumer. */
export interface KafkaCluster {
  readonly brokerPool: { findConnectedBroker(): Promise<Broker> };
  findBroker: (this: KafkaCluster, node: unknown) => Promise<Broker>;
}

/** What a cluster holds on to. */
export interface PinnedTopics {
  readonly ids: TopicIds;
  /** Something speaks against the ids: asks for them, and answers whether they still hold. */
  readonly areCurrent: () => Promise<boolean>;
}

export interface TopicIdInternals {
  readonly Cluster: { readonly prototype: KafkaCluster };
  readonly Broker: { readonly prototype: Broker };
  /** Throws the error of the first partition that has one. */
  readonly parseFetch: (answer: FetchAnswer) => Promise<FetchAnswer>;
  readonly createErrorFromCode: (code: number) => Error;
}

/** Unknown topic or partition, unknown topic id, inconsistent topic id. */
const GONE: ReadonlySet<number> = new Set([3, 100, 103]);
/** Until a topic that the broker does not know is asked for again. */
const GONE_PAUSE_MS = 250;
const COMMIT_PREFIX = 'topic-id:';

const pinned = new WeakMap<KafkaCluster, PinnedTopics>();
/** kafkajs makes the brokers of each cluster anew, and hands them out through one method. */
const clusters = new WeakMap<Broker, KafkaCluster>();

export function pinTopics(cluster: KafkaCluster, topics: PinnedTopics): void {
  pinned.set(cluster, topics);
}

/** False: what the cluster was given no longer holds. True also for one that was given nothing. */
export async function areTopicsCurrent(cluster: KafkaCluster): Promise<boolean> {
  return (await pinned.get(cluster)?.areCurrent()) ?? true;
}

/** The ids that `topics` have now. Of a broker that cannot tell: all of them, with empty ids. */
export async function readTopicIds(cluster: KafkaCluster, topics: readonly string[]): Promise<TopicIds> {
  const broker = await cluster.brokerPool.findConnectedBroker();
  if (!isSupported(broker, { apiKey: METADATA_API_KEY, version: METADATA_VERSION })) {
    return new Map(topics.map((topic) => [topic, '']));
  }
  return await send(broker, topicIdsRequest(topics));
}

/** Goes with a commit as its metadata; null when the topic has no id. */
export function commitMetadata(id: string | undefined): string | null {
  return id === undefined || id === '' ? null : COMMIT_PREFIX + id;
}

export function addTopicIds({ Cluster, Broker, ...internals }: TopicIdInternals): void {
  const { findBroker } = Cluster.prototype;
  Cluster.prototype.findBroker = async function findOwn(this: KafkaCluster, node: unknown): Promise<Broker> {
    const broker = await findBroker.call(this, node);
    clusters.set(broker, this);
    return broker;
  };
  ignoreForeignCommits(Broker.prototype);
  fetchPinned(Broker.prototype, internals);
}

function fetchPinned(broker: Broker, internals: Omit<TopicIdInternals, 'Cluster' | 'Broker'>): void {
  const { fetch } = broker;
  broker.fetch = async function fetchOwn(this: Broker, request: FetchRequest): Promise<FetchAnswer> {
    const topics = topicsOf(this);
    const haveIds = request.topics.every(({ topic }) => (topics?.ids.get(topic) ?? '') !== '');
    if (topics === undefined || !haveIds) return await fetch.call(this, request);
    if (isSupported(this, { apiKey: FETCH_API_KEY, version: FETCH_BY_ID_VERSION })) {
      return await internals.parseFetch(await fetchById(this, request, { topics, ...internals }));
    }
    const answer = await fetch.call(this, request);
    if (isEmpty(answer) || (await topics.areCurrent())) return answer;
    return { ...answer, responses: [] };
  };
}

async function fetchById(
  broker: Broker,
  request: FetchRequest,
  { topics, createErrorFromCode }: { topics: PinnedTopics } & Pick<TopicIdInternals, 'createErrorFromCode'>,
): Promise<FetchAnswer> {
  const answer = await send(broker, fetchByIdRequest(request, topics.ids));
  if (answer.errorCode !== 0 && !GONE.has(answer.errorCode)) throw createErrorFromCode(answer.errorCode);
  const responses = answer.responses.map((response) => ({
    ...response,
    partitions: response.partitions.filter(({ errorCode }) => !GONE.has(errorCode)),
  }));
  const isWhole = responses.every(
    ({ partitions }, i) => partitions.length === answer.responses[i]?.partitions.length,
  );
  // What is left out must not be asked for again at once, and the other topics need not suffer from it.
  if (!isWhole || answer.errorCode !== 0) await Promise.all([topics.areCurrent(), delay(GONE_PAUSE_MS)]);
  return { ...answer, responses };
}

/**
 * Kafka deletes the commits of a topic with it, but takes those that come later, from a member that has not noticed
 * yet. What begins with no commit of its own begins with the topic's first record, whatever the group does else.
 */
function ignoreForeignCommits(broker: Broker): void {
  const { offsetFetch } = broker;
  broker.offsetFetch = async function fetchOwnOffsets(
    this: Broker,
    request: unknown,
  ): Promise<OffsetsAnswer> {
    const answer = await offsetFetch.call(this, request);
    const ids = topicsOf(this)?.ids;
    const responses = answer.responses.map(({ topic, partitions }) => {
      const own = commitMetadata(ids?.get(topic));
      const isForeign = (metadata: string | null): boolean =>
        own !== null && metadata !== own && metadata?.startsWith(COMMIT_PREFIX) === true;
      return {
        topic,
        partitions: partitions.map((each) => (isForeign(each.metadata) ? { ...each, offset: '0' } : each)),
      };
    });
    return { ...answer, responses };
  };
}

function topicsOf(broker: Broker): PinnedTopics | undefined {
  const cluster = clusters.get(broker);
  return cluster === undefined ? undefined : pinned.get(cluster);
}

function isSupported(
  broker: Broker,
  { apiKey, version }: { readonly apiKey: number; readonly version: number },
): boolean {
  return (broker.versions?.[apiKey]?.maxVersion ?? 0) >= version;
}

function isEmpty({ responses }: FetchAnswer): boolean {
  return responses.every(({ partitions }) => partitions.every(({ messages }) => messages.length === 0));
}

/** As kafkajs's brokers send: a connection that was closed is not used again. */
async function send<T>(broker: Broker, protocol: ProtocolRequest<T>): Promise<T> {
  try {
    return await broker.connectionPool.send(protocol);
  } catch (error) {
    if (error instanceof Error && error.name === 'KafkaJSConnectionClosedError') await broker.disconnect();
    throw error;
  }
}
