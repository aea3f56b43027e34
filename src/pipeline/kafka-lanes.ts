/**
 * Turns deliveries of the Kafka source into chunks of lanes: one lane per assigned partition and epoch.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage, MillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Arena, Stretch } from './arena.ts';
import type { Coordinator } from './coordinator.ts';
import type { Lane } from './lane.ts';
import type { AssignedPartition, Clock, Delivery, FetchedBatch, KafkaSourceHandlers } from './ports.ts';

export interface KafkaLanesPorts {
  readonly arena: Arena;
  readonly coordinator: Coordinator;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  /** Number of the source that a topic with this id is, registered on first use. */
  readonly sourceNumber: (topic: string, topicId: string) => Promise<number>;
}

/** Record batches are joined up to this size: about 2,000 events, the grain of work for a parse worker. */
const CHUNK_BYTES = 512 * 1024;
/** How long a delivery waits for memory before it sends a heartbeat and waits on. */
const HEARTBEAT_MS = 2000;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;

/**
 * Modes: `taking` (deliveries are copied into the arena; without room they wait, heartbeating, which is the
 * back-pressure) and `draining` (deliveries are refused with `shutting_down`, nothing new is taken).
 */
export class KafkaLanes implements KafkaSourceHandlers {
  readonly #ports: KafkaLanesPorts;
  readonly #lanes = new Map<string, Lane>();
  readonly #sources = new Map<string, { readonly topicId: string; readonly number: number }>();
  #epoch = 0;
  #isDraining = false;
  #assigningSinceMs: number | undefined;

  constructor(ports: KafkaLanesPorts) {
    this.#ports = ports;
  }

  get lanes(): Iterable<Lane> {
    return this.#lanes.values();
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** How long the last assignment has waited for the numbers of its sources; 0 when it does not. */
  get assigningMs(): number {
    return this.#assigningSinceMs === undefined ? 0 : this.#ports.clock.now() - this.#assigningSinceMs;
  }

  drain(): void {
    this.#isDraining = true;
  }

  /**
   * Ends all lanes of earlier epochs; lanes of this one open with their first delivery. Waits for ClickHouse as long
   * as the epoch lasts.
   */
  async onAssigned(epoch: number, partitions: readonly AssignedPartition[]): Promise<void> {
    this.closeAll();
    this.#epoch = epoch;
    this.#assigningSinceMs = this.#ports.clock.now();
    for (let attempt = 0; epoch === this.#epoch && !this.#isDraining; attempt++) {
      try {
        await this.#learnSources(partitions);
        break;
      } catch (error) {
        this.#ports.telemetry.emit('assignment_waits', { epoch, error: errorMessage(error) });
        await delay(Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt));
      }
    }
    if (epoch !== this.#epoch) return;
    this.#assigningSinceMs = undefined;
    this.#ports.telemetry.emit('kafka_assigned', { epoch, partitionCount: partitions.length });
  }

  async #learnSources(partitions: readonly AssignedPartition[]): Promise<void> {
    for (const { topic, topicId } of partitions) {
      if (this.#sources.get(topic)?.topicId === topicId) continue;
      this.#sources.set(topic, { topicId, number: await this.#ports.sourceNumber(topic, topicId) });
    }
  }

  /**
   * A batch that begins past the lane's next offset follows a gap without records (compaction, aborted
   * transactions): the chunk covers the gap, so that the stored offset stays contiguous.
   */
  async onDelivery(delivery: Delivery, heartbeat: () => Promise<void>): Promise<void> {
    const lane = this.#laneFor(delivery);
    lane.highWatermark = delivery.highWatermark;
    const receivedUs = this.#ports.clock.now() * 1000;
    for (const group of groupBatches(delivery.batches, lane.takenOffset)) {
      const stretch = await this.#take(group.bytes, { lane, heartbeat });
      const { toOffset } = group;
      const fromOffset = lane.takenOffset;
      // While this one waited, the same records may have come again and been taken.
      if (toOffset <= fromOffset) {
        this.#ports.arena.release(stretch);
        continue;
      }
      copyBatches(group.batches, stretch);
      this.#ports.coordinator.submit(lane, { stretch, fromOffset, toOffset, receivedUs });
    }
  }

  closeAll(): void {
    for (const lane of this.#lanes.values()) this.#ports.coordinator.closeLane(lane);
    this.#lanes.clear();
  }

  #laneFor({ epoch, topic, partition, fetchOffset, lostFromOffset }: Delivery): Lane {
    const key = `${topic}/${partition}`;
    const source = this.#sources.get(topic)?.number;
    if (epoch !== this.#epoch || source === undefined) {
      throw new MillraceError(
        'lane_closed',
        `A delivery of ${key} came for epoch ${epoch}, now is ${this.#epoch}.`,
      );
    }
    let lane = this.#lanes.get(key);
    // The topic was made again or cut off: its offsets start anew, and so does the lane.
    if (lane !== undefined && lostFromOffset !== undefined && fetchOffset < lostFromOffset) {
      this.#ports.coordinator.retireLane(lane);
      lane = undefined;
    }
    if (lane === undefined) {
      lane = this.#ports.coordinator.openLane({
        source,
        partition,
        name: topic,
        epoch,
        startOffset: fetchOffset,
      });
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  async #take(
    length: number,
    wait: { readonly lane: Lane; readonly heartbeat: () => Promise<void> },
  ): Promise<Stretch> {
    for (;;) {
      if (this.#isDraining)
        throw new MillraceError('shutting_down', 'No more is taken from Kafka: stopping.');
      if (wait.lane.isClosed) throw new MillraceError('lane_closed', 'The assignment changed while waiting.');
      const stretch = this.#ports.arena.tryTake(length);
      if (stretch !== undefined) return stretch;
      await this.#ports.arena.released(HEARTBEAT_MS);
      await wait.heartbeat();
    }
  }
}

interface BatchGroup {
  readonly batches: FetchedBatch[];
  bytes: number;
  /** Exclusive. */
  toOffset: number;
}

/** Consecutive batches joined up to the chunk size; those wholly below `fromOffset` are left out. */
function groupBatches(batches: readonly FetchedBatch[], fromOffset: number): BatchGroup[] {
  const groups: BatchGroup[] = [];
  for (const batch of batches) {
    if (batch.lastOffset < fromOffset) continue;
    const last = groups.at(-1);
    if (last !== undefined && last.bytes + batch.bytes.byteLength <= CHUNK_BYTES) {
      last.batches.push(batch);
      last.bytes += batch.bytes.byteLength;
      last.toOffset = batch.lastOffset + 1;
    } else {
      groups.push({ batches: [batch], bytes: batch.bytes.byteLength, toOffset: batch.lastOffset + 1 });
    }
  }
  return groups;
}

function copyBatches(batches: readonly FetchedBatch[], stretch: Stretch): void {
  const target = new Uint8Array(stretch.memory, stretch.start, stretch.length);
  let position = 0;
  for (const { bytes } of batches) {
    target.set(bytes, position);
    position += bytes.byteLength;
  }
}
