/**
 * Reads stretches of a topic, undecoded, and ends when all of them were handed over: for processing them again.
 * It joins a group of its own that never commits, since kafkajs reads in groups only.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage, MillraceError, quoteValue } from '../errors.ts';
import type { AssignedPartition, FetchedBatch, TopicPartition } from '../pipeline/ports.ts';
import type { OffsetRange, OnBatches, ReadBatches } from '../replay/ports.ts';
import type { Telemetry } from '../telemetry.ts';
import { ConsumerSession, READ_ONCE, SESSION_RETRY } from './consumer-session.ts';
import type { FetchedPartition } from './fetched-partition.ts';
import { holdWithHeartbeats } from './hold-with-heartbeats.ts';
import { createKafkaClient, type KafkaConnection } from './kafka-client.ts';

export interface RangeReaderOptions extends KafkaConnection {
  readonly topic: string;
  /** Kafka's id of the topic that was processed; empty: not known. */
  readonly topicId: string;
  /** At most one per partition; empty ones are passed over. */
  readonly ranges: readonly OffsetRange[];
  /** Ends of all partitions: where nothing (more) is wanted, reading waits there. */
  readonly ends: ReadonlyMap<number, number>;
  readonly signal: AbortSignal;
}

const CLOSE_DEADLINE_MS = 5000;
/** A broker that restarts ends sessions; what was handed over is not read again. */
const MAX_SESSIONS = 20;
const SESSION_PAUSE_MS = 1000;

/**
 * Rejects with `shutting_down` on the signal, with `unprocessable` when Kafka deleted records of a range before they
 * were read, with `bus_unavailable` when Kafka fails, and with whatever `onBatches` rejects with.
 */
export async function readRanges(
  options: RangeReaderOptions,
  onBatches: OnBatches,
  telemetry: Telemetry,
): Promise<void> {
  const reading = new RangeReading(options, onBatches);
  try {
    for (let session = 1; !reading.isComplete; session++) {
      const failure = await readSession(options, reading, telemetry);
      if (failure !== undefined && session === MAX_SESSIONS) {
        const what = `Cannot read topic ${quoteValue(options.topic)}: ${errorMessage(failure.error)}`;
        throw new MillraceError('bus_unavailable', what, { cause: failure.error });
      }
      if (failure !== undefined) await delay(SESSION_PAUSE_MS);
    }
  } finally {
    await reading.settled();
  }
}

/** One consumer session: until all is read, or what ended it before; rejects when reading itself failed. */
async function readSession(
  options: RangeReaderOptions,
  reading: RangeReading,
  telemetry: Telemetry,
): Promise<{ readonly error: unknown } | undefined> {
  const client = createKafkaClient(options, telemetry, SESSION_RETRY);
  const groupId = `millrace-replay-${randomUUID()}`;
  const session = new ConsumerSession(
    client,
    { ...READ_ONCE, groupId, topics: [options.topic] },
    {
      onJoined: (partitions) => {
        if (!reading.isSameTopic(partitions))
          reading.failForAnotherTopic('it was made again since it was processed');
        session.seek(reading.positions(partitions));
      },
      onTopicsChanged: (reason) => {
        reading.failForAnotherTopic(reason);
      },
      onFetched: async (fetched) => {
        await reading.take(fetched);
        session.seek(reading.leftAlone(fetched.delivery));
      },
      onPassed: (place, nextOffset) => {
        reading.pass(place.partition, nextOffset);
      },
    },
  );
  const running = session.run().then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  try {
    return await Promise.race([running, reading.ended.then(() => undefined)]);
  } finally {
    await session.close(CLOSE_DEADLINE_MS);
  }
}

interface Position {
  next: number;
  readonly toOffset: number;
}

/** Modes: `reading` (at most one fetch per broker is held, handed over one by one) and `ended`. */
class RangeReading {
  /** Resolves when all was handed over; rejects with what ended it before. */
  readonly ended: Promise<void>;
  readonly #options: RangeReaderOptions;
  readonly #onBatches: OnBatches;
  /** Only what is not complete. */
  readonly #open = new Map<number, Position>();
  readonly #stop = new AbortController();
  #end: (failure?: { readonly error: unknown }) => void = () => undefined;
  #handOvers: Promise<void> = Promise.resolve();

  constructor(options: RangeReaderOptions, onBatches: OnBatches) {
    this.#options = options;
    this.#onBatches = onBatches;
    for (const { partition, fromOffset, toOffset } of options.ranges) {
      if (fromOffset < toOffset) this.#open.set(partition, { next: fromOffset, toOffset });
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
    const abort = (): void => {
      this.#end({ error: new MillraceError('shutting_down', 'The replay was stopped.') });
    };
    options.signal.addEventListener('abort', abort, { once: true });
    if (options.signal.aborted) abort();
  }

  get isComplete(): boolean {
    return this.#open.size === 0;
  }

  isSameTopic(partitions: readonly AssignedPartition[]): boolean {
    const { topicId: known } = this.#options;
    return partitions.every(({ topicId }) => known === '' || topicId === '' || topicId === known);
  }

  /** Offsets of a topic that was made again are of other records. */
  failForAnotherTopic(reason: string): void {
    const what = `Cannot replay topic ${quoteValue(this.#options.topic)}: ${reason}.`;
    this.#end({ error: new MillraceError('unprocessable', what) });
  }

  /** Resolves when no hand-over is under way any more. */
  async settled(): Promise<void> {
    await this.#handOvers.catch(() => undefined);
  }

  positions(partitions: readonly TopicPartition[]): { topic: string; partition: number; offset: number }[] {
    return partitions.map((place) => ({
      ...place,
      offset: this.#open.get(place.partition)?.next ?? this.#options.ends.get(place.partition) ?? 0,
    }));
  }

  /** Where a partition goes on of which nothing (more) is wanted; empty for others. */
  leftAlone({ topic, partition, highWatermark: offset }: FetchedPartition['delivery']) {
    return this.#open.has(partition) ? [] : [{ topic, partition, offset }];
  }

  /** Everything below `nextOffset` was delivered or holds no records. */
  pass(partition: number, nextOffset: number): void {
    // Its failure ends the reading.
    void this.#queue(() => this.#handOver(partition, nextOffset, []));
  }

  async take({ delivery, heartbeat, resolve }: FetchedPartition): Promise<void> {
    const { partition, batches, lostFromOffset } = delivery;
    const hold = { heartbeat, intervalMs: READ_ONCE.heartbeatIntervalMs, signal: this.#stop.signal };
    const position = this.#open.get(partition);
    if (position !== undefined && lostFromOffset !== undefined) {
      const what = `Kafka deleted records of partition ${partition} from offset ${lostFromOffset} on before they were read`;
      this.#end({ error: new MillraceError('unprocessable', `${what}: nothing of them was changed.`) });
      return;
    }
    const nextOffset = (batches.at(-1)?.lastOffset ?? -1) + 1;
    try {
      await holdWithHeartbeats(
        this.#queue(() => this.#handOver(partition, nextOffset, batches)),
        hold,
      );
      resolve();
    } catch (error) {
      // A failed heartbeat is the group's business, everything else ends the reading.
      if (!this.#stop.signal.aborted) throw error;
    }
  }

  /** One hand-over after the other: a delivery that comes again after a rejoin finds the first one done. */
  #queue(handOver: () => Promise<void>): Promise<void> {
    const before = this.#handOvers;
    this.#handOvers = this.#afterwards(before, handOver);
    this.#handOvers.catch(() => undefined);
    return this.#handOvers;
  }

  async #afterwards(before: Promise<void>, handOver: () => Promise<void>): Promise<void> {
    await before.catch(() => undefined);
    if (this.#stop.signal.aborted) return;
    try {
      await handOver();
    } catch (error) {
      this.#end({ error });
      throw error;
    }
  }

  async #handOver(partition: number, nextOffset: number, batches: readonly FetchedBatch[]): Promise<void> {
    const position = this.#open.get(partition);
    if (position === undefined || nextOffset <= position.next) return;
    const { next: fromOffset } = position;
    const toOffset = Math.min(nextOffset, position.toOffset);
    const wanted = batches.filter(
      ({ baseOffset, lastOffset }) => lastOffset >= fromOffset && baseOffset < toOffset,
    );
    await this.#onBatches({
      partition,
      fromOffset,
      toOffset,
      memory: joinBatches(wanted),
      spanning: spanningBatch(wanted[0], fromOffset),
    });
    position.next = toOffset;
    if (toOffset === position.toOffset) this.#open.delete(partition);
    if (this.isComplete) this.#end();
  }
}

function spanningBatch(first: FetchedBatch | undefined, fromOffset: number): ReadBatches['spanning'] {
  if (first === undefined || first.baseOffset >= fromOffset) return undefined;
  return { byteLength: first.bytes.length, lastOffset: first.lastOffset };
}

function joinBatches(batches: readonly FetchedBatch[]): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(batches.reduce((sum, { bytes }) => sum + bytes.length, 0));
  const joined = new Uint8Array(memory);
  let at = 0;
  for (const { bytes } of batches) {
    joined.set(bytes, at);
    at += bytes.length;
  }
  return memory;
}
