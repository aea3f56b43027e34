/**
 * Watchers: one stops inserts before the disk is full, one says when nothing moves, one when Kafka is out of reach.
 */
import { errorMessage } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Coordinator } from './coordinator.ts';
import type { Health } from './health.ts';
import type { KafkaLanes } from './kafka-lanes.ts';
import type { Lane } from './lane.ts';
import type { Clock, KafkaSource } from './ports.ts';
import type { Writer } from './writer.ts';

export interface DiskGuardOptions {
  readonly minFreeBytes: number;
  /** Free bytes on the disk of ClickHouse; must reject within seconds when ClickHouse hangs. */
  readonly freeBytes: () => Promise<number>;
  readonly writers: readonly Writer[];
  readonly health: Health;
  readonly telemetry: Telemetry;
}

const DISK_INTERVAL_MS = 5000;
/** Whose reason it is in health. */
const OWNER = 'disk check';
/** Room that must come back, beyond the limit, before writing goes on: no flapping at the edge. */
const RECOVERY_FACTOR = 1.05;

/** Modes: `free` and `held`; held writers keep their blocks, and the sources slow down behind them. */
export class DiskGuard {
  readonly #options: DiskGuardOptions;
  #timer: NodeJS.Timeout | undefined;
  #isHeld = false;
  #isChecking = false;

  constructor(options: DiskGuardOptions) {
    this.#options = options;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  async start(): Promise<void> {
    await this.check();
    this.#timer = setInterval(() => void this.check(), DISK_INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * One look at the disk; when ClickHouse does not answer, the mode stays as it is, and that is told. One at a time: a server that
   * hangs must not collect questions, each on a connection of its own.
   */
  async check(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    try {
      this.#judge(await this.#options.freeBytes());
      this.#options.health.clear('clickhouse_unavailable', OWNER);
    } catch (error) {
      this.#options.health.set('clickhouse_unavailable', errorMessage(error), OWNER);
      this.#options.telemetry.emit('disk_check_failed', { error: errorMessage(error) });
    } finally {
      this.#isChecking = false;
    }
  }

  #judge(freeBytes: number): void {
    const { minFreeBytes } = this.#options;
    if (!this.#isHeld && freeBytes < minFreeBytes) this.#hold(freeBytes);
    else if (this.#isHeld && freeBytes >= minFreeBytes * RECOVERY_FACTOR) this.#resume(freeBytes);
  }

  #hold(freeBytes: number): void {
    const { writers, health, telemetry, minFreeBytes } = this.#options;
    this.#isHeld = true;
    for (const writer of writers) writer.hold('disk_low');
    const megabytes = (bytes: number): number => Math.floor(bytes / 1024 / 1024);
    health.set(
      'disk_low',
      `${megabytes(freeBytes)} MiB free, ${megabytes(minFreeBytes)} MiB must stay free.`,
    );
    telemetry.emit('disk_low', { freeBytes, minFreeBytes });
  }

  #resume(freeBytes: number): void {
    const { writers, health, telemetry } = this.#options;
    this.#isHeld = false;
    health.clear('disk_low');
    for (const writer of writers) writer.resume();
    telemetry.emit('disk_recovered', { freeBytes });
  }
}

const WATCH_INTERVAL_MS = 1000;
/** Work in flight of which nothing was stored for this long is called a stall. */
const STALL_MS = 30_000;

export interface WatchdogOptions {
  readonly clock: Clock;
  readonly coordinator: Coordinator;
  readonly health: Health;
  readonly kafka?: Pick<KafkaSource, 'status'> | undefined;
  readonly kafkaLanes: Pick<KafkaLanes, 'assigningMs'>;
}

/**
 * Once a second: `no_progress` while chunks are in flight and none was stored for 30 s, or an assignment has
 * waited as long for ClickHouse; `kafka_unavailable`.
 */
export class Watchdog {
  readonly #options: WatchdogOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  start(): void {
    this.check();
    this.#timer = setInterval(() => this.check(), WATCH_INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  check(): void {
    this.#checkProgress();
    this.#checkKafka();
  }

  #checkProgress(): void {
    const { health, coordinator, kafkaLanes } = this.#options;
    const slowestLane = findSlowestLane(coordinator.lanes, this.#options.clock.steady());
    if (kafkaLanes.assigningMs >= STALL_MS) {
      const seconds = Math.floor(kafkaLanes.assigningMs / 1000);
      return health.set('no_progress', `The Kafka assignment has waited for ClickHouse for ${seconds} s.`);
    }
    if (slowestLane === undefined || slowestLane.stalledMs < STALL_MS) return health.clear('no_progress');
    const { lane, stalledMs } = slowestLane;
    const seconds = Math.floor(stalledMs / 1000);
    health.set(
      'no_progress',
      `Nothing of ${lane.spec.name}/${lane.spec.partition} was stored for ${seconds} s.`,
    );
  }

  #checkKafka(): void {
    const { health, kafka } = this.#options;
    const status = kafka?.status();
    const isWell = status === undefined || (status.isConnected && status.lastError === undefined);
    if (isWell) return health.clear('kafka_unavailable');
    health.set('kafka_unavailable', status.lastError ?? `The consumer is ${status.state}.`);
  }
}

/** The lane that has waited longest for its next chunk to be stored; undefined when nothing is in flight. */
function findSlowestLane(
  lanes: Iterable<Lane>,
  nowMs: number,
): { readonly lane: Lane; readonly stalledMs: number } | undefined {
  let slowest: Lane | undefined;
  for (const lane of lanes) {
    if (lane.chunks.length === 0) continue;
    if (slowest === undefined || lane.lastProgressMs < slowest.lastProgressMs) slowest = lane;
  }
  return slowest === undefined ? undefined : { lane: slowest, stalledMs: nowMs - slowest.lastProgressMs };
}
