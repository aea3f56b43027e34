/** Options of the Kafka source, their defaults, and what a session is given of them. */
import type { SessionOptions } from './consumer-session.ts';
import type { KafkaConnection } from './kafka-client.ts';
import type { ClusterInfo } from './kafka-topics.ts';

export interface KafkaSourceOptions extends KafkaConnection {
  readonly groupId: string;
  readonly topics: readonly string[];
  /** Where a group without commits begins, and one whose offsets are deleted goes on; default true. */
  readonly fromBeginning?: boolean;
  /** Default 4 MiB. */
  readonly maxBytesPerPartition?: number;
  /**
   * Bytes of one round of fetches over all brokers; default 8 MiB. kafkajs holds a response about twice (its
   * chunks and their joined copy) beside the pipeline's own budget, so this keeps the fetch side near 16 MiB of
   * the 400 MB that the program may have, and is still enough for 100 rounds of 8 MiB a second.
   */
  readonly maxBytes?: number;
  /** Default 64 KiB. */
  readonly minBytes?: number;
  /** How long the broker may wait for `minBytes`; default 250: each idle round costs this thread about 2 ms. */
  readonly maxWaitMs?: number;
  /** Default 45,000: the wait of the others when this process dies without leaving the group. */
  readonly sessionTimeoutMs?: number;
  readonly heartbeatIntervalMs?: number;
  /** Where notes of memberships are kept (member-notes.ts); undefined: none, and killed members are waited for. */
  readonly memberNotesDir?: string | undefined;
  /** Partitions of a topic that is created because the cluster lacks it at the start; default 6. */
  readonly newTopicPartitions?: number;
}

const DEFAULTS = {
  fromBeginning: true,
  maxBytesPerPartition: 4 << 20,
  maxBytes: 8 << 20,
  minBytes: 64 << 10,
  maxWaitMs: 250,
  sessionTimeoutMs: 45_000,
  heartbeatIntervalMs: 3000,
  newTopicPartitions: 6,
  memberNotesDir: undefined,
};
const MIN_FETCH_BYTES = 1 << 20;

export function sessionOptions(
  options: Required<KafkaSourceOptions>,
  { brokerCount }: ClusterInfo,
): SessionOptions {
  // Each broker is fetched from on its own, and all of them answer at once.
  const maxBytes = Math.max(MIN_FETCH_BYTES, Math.floor(options.maxBytes / Math.max(1, brokerCount)));
  return { ...options, maxBytes, maxBytesPerPartition: Math.min(options.maxBytesPerPartition, maxBytes) };
}

/** An option given as undefined does not hide its default. */
export function fillOptions(options: KafkaSourceOptions): Required<KafkaSourceOptions> {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...DEFAULTS, ...(Object.fromEntries(given) as unknown as Required<KafkaSourceOptions>) };
}
