/**
 * Plain reading of one topic, decoded, to its present end or on and on: for people and files, not for the
 * pipeline. It joins a group of its own that never commits, since kafkajs reads in groups only.
 */
import { randomUUID } from 'node:crypto';
import { errorMessage, MillraceError } from '../errors.ts';
import { RecordBatchReader } from '../parse/record-batch.ts';
import type { TopicPartition } from '../pipeline/ports.ts';
import type { Telemetry } from '../telemetry.ts';
import { ConsumerSession, READ_ONCE, SESSION_RETRY } from './consumer-session.ts';
import type { FetchedPartition } from './fetched-partition.ts';
import { holdWithHeartbeats } from './hold-with-heartbeats.ts';
import { createKafkaClient, type KafkaConnection } from './kafka-client.ts';
import { type PartitionBounds, partitionBounds } from './kafka-topics.ts';

export interface KafkaReaderOptions extends KafkaConnection {
  readonly topic: string;
  /** An offset counts for every partition and is moved into what the partition holds. */
  readonly from: 'beginning' | 'end' | number;
  /** True: goes on until `signal`; false: ends at what was the end when it began. */
  readonly isFollowing: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** One record; its bytes are its own. */
export interface ReadRecord {
  readonly partition: number;
  readonly offset: number;
  /** -1: none. */
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

export interface ReadSummary {
  readonly recordCount: number;
  /** Records in batches that could not be decoded; they were passed over. */
  readonly unreadableCount: number;
}

export type OnRecords = (records: readonly ReadRecord[]) => Promise<void>;

/** Records handed over at once, of one partition, in order. */
const CHUNK_RECORDS = 1000;
const CLOSE_DEADLINE_MS = 5000;

/**
 * Reads and hands over. Rejects with `not_found` when there is no such topic, with `bus_unavailable` when Kafka
 * cannot be reached, and with whatever `onRecords` rejects with.
 */
export async function readTopic(
  options: KafkaReaderOptions,
  onRecords: OnRecords,
  telemetry: Telemetry,
): Promise<ReadSummary> {
  const reading = new Reading(options, await readBounds(options, telemetry), onRecords);
  if (reading.isComplete) return reading.summary;
  const client = createKafkaClient(options, telemetry, SESSION_RETRY);
  const groupId = `millrace-read-${randomUUID()}`;
  const session = new ConsumerSession(
    client,
    { ...READ_ONCE, groupId, topics: [options.topic] },
    {
      onJoined: (partitions) => {
        session.seek(reading.positions(partitions));
      },
      onFetched: (fetched) => reading.take(fetched),
      onPassed: (place, nextOffset) => {
        reading.pass(place.partition, nextOffset);
      },
      onTopicsChanged: (reason) => {
        reading.fail(new MillraceError('not_found', `Cannot read on: ${reason}`));
      },
    },
  );
  const running = session.run().catch((error: unknown) => {
    throw asBusError(options.topic, error);
  });
  try {
    await Promise.race([running, reading.ended]);
  } finally {
    await session.close(CLOSE_DEADLINE_MS);
  }
  return reading.summary;
}

async function readBounds(
  options: KafkaReaderOptions,
  telemetry: Telemetry,
): Promise<readonly PartitionBounds[]> {
  const client = createKafkaClient(options, telemetry);
  try {
    return await partitionBounds(client, options.topic);
  } catch (error) {
    throw asBusError(options.topic, error);
  } finally {
    client.sockets.close();
  }
}

/** Where reading stands. Modes: `reading`, and `ended` (complete, aborted or failed: nothing more is handed over). */
class Reading {
  /** Resolves when all is read or the signal came; rejects with what `onRecords` rejected with. */
  readonly ended: Promise<void>;
  readonly #options: KafkaReaderOptions;
  readonly #onRecords: OnRecords;
  readonly #next = new Map<number, number>();
  /** Exclusive; of the partitions that have something to read. Empty when following. */
  readonly #ends = new Map<number, number>();
  readonly #stop = new AbortController();
  #end: (failure?: { readonly error: unknown }) => void = () => undefined;
  #recordCount = 0;
  #unreadableCount = 0;

  constructor(options: KafkaReaderOptions, bounds: readonly PartitionBounds[], onRecords: OnRecords) {
    this.#options = options;
    this.#onRecords = onRecords;
    for (const { partition, earliestOffset, endOffset } of bounds) {
      const first =
        options.from === 'beginning' ? earliestOffset : options.from === 'end' ? endOffset : options.from;
      const start = Math.min(Math.max(first, earliestOffset), endOffset);
      this.#next.set(partition, start);
      if (!options.isFollowing && start < endOffset) this.#ends.set(partition, endOffset);
    }
    this.ended = new Promise((resolve, reject) => {
      this.#end = (failure) => {
        this.#stop.abort();
        if (failure === undefined) resolve();
        else reject(failure.error);
      };
    });
    // Seen by whoever waits; without a waiter it is nobody's.
    this.ended.catch(() => undefined);
    const { signal } = options;
    signal?.addEventListener('abort', () => {
      this.#end();
    });
    if (signal?.aborted === true) this.#end();
  }

  get isComplete(): boolean {
    return this.#stop.signal.aborted || (!this.#options.isFollowing && this.#ends.size === 0);
  }

  get summary(): ReadSummary {
    return { recordCount: this.#recordCount, unreadableCount: this.#unreadableCount };
  }

  positions(partitions: readonly TopicPartition[]): { topic: string; partition: number; offset: number }[] {
    return partitions.map((place) => ({ ...place, offset: this.#next.get(place.partition) ?? 0 }));
  }

  fail(error: MillraceError): void {
    this.#end({ error });
  }

  pass(partition: number, nextOffset: number): void {
    if (this.#stop.signal.aborted) return;
    this.#next.set(partition, Math.max(nextOffset, this.#next.get(partition) ?? 0));
    if (nextOffset >= (this.#ends.get(partition) ?? Number.POSITIVE_INFINITY)) this.#ends.delete(partition);
    if (this.isComplete) this.#end();
  }

  async take({ delivery, heartbeat, resolve }: FetchedPartition): Promise<void> {
    const { partition, fetchOffset } = delivery;
    const hold = { heartbeat, intervalMs: READ_ONCE.heartbeatIntervalMs, signal: this.#stop.signal };
    try {
      for (const { bytes } of delivery.batches) {
        for (const chunk of this.#decode(bytes, { partition, firstOffset: fetchOffset })) {
          if (this.#stop.signal.aborted) return;
          await holdWithHeartbeats(this.#handOver(chunk), hold);
        }
      }
      resolve();
    } catch (error) {
      // A failed heartbeat is the group's business, everything else ends the reading.
      if (!this.#stop.signal.aborted) throw error;
    }
  }

  async #handOver(chunk: readonly ReadRecord[]): Promise<void> {
    try {
      await this.#onRecords(chunk);
    } catch (error) {
      this.#end({ error });
      throw error;
    }
    this.#recordCount += chunk.length;
    const last = chunk.at(-1);
    if (last !== undefined) this.#next.set(last.partition, last.offset + 1);
  }

  /** The records of one batch that are asked for and were not handed over before. */
  *#decode(
    memory: Uint8Array,
    { partition, firstOffset }: { readonly partition: number; readonly firstOffset: number },
  ): Generator<ReadRecord[]> {
    // One per call: partitions are handed over side by side.
    const walker = new RecordBatchReader();
    const end = this.#ends.get(partition) ?? (this.#options.isFollowing ? Number.POSITIVE_INFINITY : 0);
    const first = Math.max(firstOffset, this.#next.get(partition) ?? 0);
    walker.reset({ memory, start: 0, length: memory.length, firstOffset: first });
    let chunk: ReadRecord[] = [];
    while (walker.nextBatch()) {
      while (walker.next()) {
        if (walker.offset < end) chunk.push(copyRecord(walker, partition));
        if (chunk.length === CHUNK_RECORDS) {
          yield chunk;
          chunk = [];
        }
      }
      if (walker.fault !== null) this.#unreadableCount += walker.fault.recordCount;
    }
    if (chunk.length > 0) yield chunk;
  }
}

function copyRecord(walker: RecordBatchReader, partition: number): ReadRecord {
  const { bytes, offset, timestampMs, keyStart, keyEnd, valueStart, valueEnd } = walker;
  return {
    partition,
    offset,
    timestampMs,
    key: keyStart < 0 ? null : bytes.slice(keyStart, keyEnd),
    value: walker.valueIsNull ? null : bytes.slice(valueStart, valueEnd),
  };
}

function asBusError(topic: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  const what = `Cannot read topic ${JSON.stringify(topic)}`;
  return new MillraceError('bus_unavailable', `${what}: ${errorMessage(error)}`, { cause: error });
}
