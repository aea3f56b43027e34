/**
 * Turns deliveries of the Kafka source into chunks of lanes: one lane per assigned partition and assignment, claimed
 * before its first delivery is taken.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage, MillraceError } from '../errors.ts';
import { collectGarbage } from '../give-back-memory.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Arena, Stretch } from './arena.ts';
import { bytesOf, copyBatches, groupBatches } from './batch-groups.ts';
import type { Coordinator } from './coordinator.ts';
import type { Health } from './health.ts';
import type { Lane } from './lane.ts';
import type {
  AssignedPartition,
  Clock,
  Delivery,
  KafkaSourceHandlers,
  LaneOwnership,
  LaneStanding,
  TopicPartition,
} from './ports.ts';

export interface KafkaLanesPorts {
  readonly arena: Arena;
  readonly coordinator: Coordinator;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly health: Health;
  /** Number of the source that a topic with this id is, registered on first use; `sources_exhausted` when none is left. */
  readonly sourceNumber: (topic: string, topicId: string) => Promise<number>;
  readonly ownership: LaneOwnership;
  /** Leaves the assignment of this epoch and joins the group anew. */
  readonly rejoin: (epoch: number, reason: string) => void;
}

/** How long a delivery waits for memory before it sends a heartbeat and waits on. */
const HEARTBEAT_MS = 2000;
/** The pieces that a delivery of this size was joined from lie outside V8's heap, which is in no hurry to free them. */
const HUGE_BYTES = 16 * 1024 * 1024;
const LET_GO_MS = 20;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;

/**
 * Modes: `taking` (deliveries are copied into the arena; without room they wait, heartbeating, which is the
 * back-pressure) and `draining` (deliveries are refused with `shutting_down`, nothing new is taken).
 */
export class KafkaLanes implements KafkaSourceHandlers {
  readonly #ports: KafkaLanesPorts;
  readonly #lanes = new Map<string, Lane>();
  /** Lanes that were claimed and have had no delivery yet. */
  readonly #standings = new Map<string, LaneStanding>();
  /** Topics of this assignment that got no number: nothing of them is taken. */
  readonly #unnumbered = new Set<string>();
  readonly #opening = new Map<string, { readonly epoch: number; readonly lane: Promise<Lane> }>();
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

  /** How long the last assignment has waited for ClickHouse; 0 when it does not. */
  get assigningMs(): number {
    return this.#assigningSinceMs === undefined ? 0 : this.#ports.clock.steady() - this.#assigningSinceMs;
  }

  drain(): void {
    this.#isDraining = true;
  }

  /**
   * Ends all lanes of earlier epochs and claims those of this one, which open with their first delivery. Waits for
   * ClickHouse as long as the epoch lasts. A topic for which no source number is left keeps the others from nothing.
   */
  async onAssigned(epoch: number, partitions: readonly AssignedPartition[]): Promise<void> {
    this.closeAll();
    this.#epoch = epoch;
    this.#assigningSinceMs = this.#ports.clock.steady();
    for (let attempt = 0; epoch === this.#epoch && !this.#isDraining; attempt++) {
      try {
        await this.#claim(epoch, partitions);
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

  async #claim(epoch: number, partitions: readonly AssignedPartition[]): Promise<void> {
    const numbers = await this.#readNumbers(partitions);
    // A claim without a condition takes the lanes from whoever has them: only under the assignment of now.
    if (epoch !== this.#epoch) return;
    this.#tellUnnumbered(partitions.filter(({ topic }) => !numbers.has(topic)));
    const places = partitions.filter(({ topic }) => numbers.has(topic));
    const requests = places.map(({ topic, partition }) => ({ source: numbers.get(topic) ?? 0, partition }));
    const isWanted = (): boolean => epoch === this.#epoch;
    const standings = await this.#ports.ownership.claim(requests, { isWanted });
    if (epoch !== this.#epoch) return;
    for (const [i, place] of places.entries()) {
      const standing = standings[i];
      if (standing !== undefined) this.#standings.set(keyOf(place), standing);
    }
    this.#ports.telemetry.emit('lanes_claimed', { laneCount: places.length }, places.length);
  }

  /** By topic; without those for which no number is left. */
  async #readNumbers(partitions: readonly AssignedPartition[]): Promise<ReadonlyMap<string, number>> {
    const ids = new Map(partitions.map(({ topic, topicId }) => [topic, topicId]));
    const numbers = new Map<string, number>();
    for (const [topic, topicId] of ids) {
      try {
        numbers.set(topic, await this.#ports.sourceNumber(topic, topicId));
      } catch (error) {
        if (!(error instanceof MillraceError && error.code === 'sources_exhausted')) throw error;
      }
    }
    return numbers;
  }

  #tellUnnumbered(partitions: readonly AssignedPartition[]): void {
    const { health } = this.#ports;
    this.#unnumbered.clear();
    for (const { topic } of partitions) this.#unnumbered.add(topic);
    const names = [...this.#unnumbered].map((topic) => JSON.stringify(topic)).join(', ');
    if (names === '') return health.clear('sources_exhausted');
    health.set('sources_exhausted', `All 256 source numbers are used up; not read from Kafka: ${names}.`);
  }

  /**
   * A batch that begins past the lane's next offset follows a gap without records (compaction, aborted
   * transactions): the chunk covers the gap, so that the stored offset stays contiguous.
   */
  async onDelivery(delivery: Delivery, heartbeat: () => Promise<void>): Promise<void> {
    // Of an assignment that came since, no lane was claimed.
    if (this.#isDraining) throw stopping();
    const lane = await this.#laneFor(delivery);
    lane.highWatermark = delivery.highWatermark;
    const receivedUs = this.#ports.clock.now() * 1000;
    const isHuge = bytesOf(delivery) >= HUGE_BYTES;
    if (isHuge) collectGarbage();
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
    // And then what it was copied from, as soon as the consumer has let go of it.
    if (isHuge) setTimeout(collectGarbage, LET_GO_MS);
  }

  closeAll(): void {
    for (const lane of this.#lanes.values()) this.#ports.coordinator.closeLane(lane);
    this.#lanes.clear();
    this.#standings.clear();
  }

  async #laneFor(delivery: Delivery): Promise<Lane> {
    const { epoch, fetchOffset, lostFromOffset } = delivery;
    const key = keyOf(delivery);
    const lane = this.#lanes.get(key);
    if (epoch !== this.#epoch) throw this.#closed(key, epoch);
    if (this.#unnumbered.has(delivery.topic)) {
      throw new MillraceError('sources_exhausted', `No source number is left for ${key}.`);
    }
    if (lane === undefined) return await this.#openOnce(key, delivery);
    if (lane.isClosed) throw this.#closed(key, epoch);
    if (lostFromOffset === undefined) return lane;
    if (fetchOffset < lostFromOffset) {
      // The partition was cut off or made again: what this lane knows of it no longer holds.
      this.#ports.rejoin(epoch, `${key} went back from offset ${lostFromOffset} to ${fetchOffset}`);
      throw this.#closed(key, epoch);
    }
    this.#ports.coordinator.skipLost(lane, fetchOffset);
    return lane;
  }

  /** Deliveries of one partition may come side by side; the first opens its lane. */
  async #openOnce(key: string, delivery: Delivery): Promise<Lane> {
    const { epoch } = delivery;
    const known = this.#opening.get(key);
    if (known?.epoch === epoch) return await known.lane;
    const lane = this.#openLane(delivery).finally(() => {
      if (this.#opening.get(key)?.lane === lane) this.#opening.delete(key);
    });
    this.#opening.set(key, { epoch, lane });
    return await lane;
  }

  /** The lane goes on at the end of its ledger, or where Kafka's records begin when that lies further on. */
  async #openLane(delivery: Delivery): Promise<Lane> {
    const { epoch, fetchOffset, highWatermark } = delivery;
    const key = keyOf(delivery);
    let standing = this.#standings.get(key);
    if (standing === undefined) throw this.#closed(key, epoch);
    let { ledgerOffset = fetchOffset } = standing;
    if (highWatermark < ledgerOffset) {
      // The partition is shorter than what was stored of it: it was cut off, and its offsets are given anew.
      const { source, partition, epoch: heldEpoch } = standing;
      const request = { source, partition, heldEpoch, fromOffset: fetchOffset };
      [standing] = await this.#ports.ownership.claim([request]);
      if (standing === undefined) this.#ports.rejoin(epoch, `another process took ${key}`);
      if (standing === undefined || epoch !== this.#epoch) throw this.#closed(key, epoch);
      ledgerOffset = fetchOffset;
    }
    const lostFrom = firstLost(delivery, standing.ledgerOffset);
    const lane = this.#ports.coordinator.openLane(
      {
        source: standing.source,
        partition: standing.partition,
        name: delivery.topic,
        epoch: standing.epoch,
        startOffset: lostFrom < fetchOffset ? lostFrom : Math.max(fetchOffset, ledgerOffset),
        sourceOffset: fetchOffset,
        onLost: () => this.#ports.rejoin(epoch, `another process took ${key}`),
      },
      standing,
    );
    this.#lanes.set(key, lane);
    this.#standings.delete(key);
    this.#ports.coordinator.skipLost(lane, fetchOffset);
    return lane;
  }

  #closed(key: string, epoch: number): MillraceError {
    return new MillraceError(
      'lane_closed',
      `A delivery of ${key} came for epoch ${epoch}, now is ${this.#epoch}.`,
    );
  }

  async #take(
    length: number,
    wait: { readonly lane: Lane; readonly heartbeat: () => Promise<void> },
  ): Promise<Stretch> {
    for (;;) {
      if (this.#isDraining) throw stopping();
      if (wait.lane.isClosed) throw new MillraceError('lane_closed', 'The assignment changed while waiting.');
      const stretch = this.#ports.arena.tryTake(length);
      if (stretch !== undefined) return stretch;
      await this.#ports.arena.released(HEARTBEAT_MS);
      await wait.heartbeat();
    }
  }
}

function stopping(): MillraceError {
  return new MillraceError('shutting_down', 'No more is taken from Kafka: stopping.');
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

/**
 * First offset that Kafka no longer had when the lane opens; `fetchOffset` when none is lost. A group whose commits
 * have expired begins at the start of the log without a word: then the ledger tells where reading should have gone on.
 */
function firstLost(
  { fetchOffset, lostFromOffset, logStartOffset }: Delivery,
  ledgerOffset: number | undefined,
): number {
  const isLedgerGone =
    ledgerOffset !== undefined && logStartOffset !== undefined && ledgerOffset < logStartOffset;
  const from = lostFromOffset ?? (isLedgerGone ? ledgerOffset : fetchOffset);
  return Math.max(Math.min(from, fetchOffset), ledgerOffset ?? 0);
}
