/**
 * Snapshots of the running pipeline for `/readyz`, `/pipeline/ledger`, `millrace status` and `/metrics`.
 */
import type { Lane } from './lane.ts';
import type { Pipeline } from './pipeline.ts';
import type { Clock } from './ports.ts';
import type { LaneProgress, SnapshotKind, StatusPort, StatusSnapshots } from './status-port.ts';

export interface StatusOptions {
  readonly pipeline: Pipeline;
  readonly clock: Clock;
  readonly version: string;
  readonly renderMetrics: () => Promise<StatusSnapshots['metrics']>;
}

const RATE_INTERVAL_MS = 1000;
/** Weight of the newest second in the rate: about ten seconds of memory. */
const RATE_WEIGHT = 0.2;

export class Status implements StatusPort {
  readonly #options: StatusOptions;
  readonly #startedMs: number;
  #timer: NodeJS.Timeout | undefined;
  #lastStoredCount = 0;
  #lastMs: number;
  #storedPerSecond = 0;

  constructor(options: StatusOptions) {
    this.#options = options;
    this.#startedMs = options.clock.steady();
    this.#lastMs = this.#startedMs;
  }

  start(): void {
    this.#timer = setInterval(() => this.#sampleRate(), RATE_INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async snapshot<K extends SnapshotKind>(kind: K): Promise<StatusSnapshots[K]> {
    const makers: { readonly [S in SnapshotKind]: () => StatusSnapshots[S] | Promise<StatusSnapshots[S]> } = {
      readiness: () => ({ problems: this.#options.pipeline.health.problems }),
      lanes: () => [...this.#options.pipeline.coordinator.lanes].map(progressOf),
      status: () => this.#status(),
      metrics: () => this.#options.renderMetrics(),
    };
    return await makers[kind]();
  }

  #status(): Record<string, unknown> {
    const { pipeline, clock, version } = this.#options;
    const { coordinator, arena, health } = pipeline;
    const memory = process.memoryUsage();
    return {
      version,
      uptime_seconds: Math.round((clock.steady() - this.#startedMs) / 1000),
      ready: health.problems.length === 0,
      problems: health.problems,
      stored_per_second: Math.round(this.#storedPerSecond),
      received: coordinator.totals.receivedCount,
      stored: coordinator.totals.storedCount,
      dead_lettered: coordinator.totals.deadLetteredCount,
      slow_path: coordinator.totals.slowPathCount,
      buffers: { records_bytes: arena.usedBytes, blocks_bytes: coordinator.blockBytes },
      memory: { resident_bytes: memory.rss, heap_bytes: memory.heapUsed },
      lanes: [...coordinator.lanes].map((lane) => ({
        source: lane.spec.name,
        partition: lane.spec.partition,
        committed_offset: lane.committedOffset,
        stored_offset: lane.storedOffset,
        lag: Math.max(0, lane.highWatermark - lane.storedOffset),
      })),
    };
  }

  #sampleRate(): void {
    const nowMs = this.#options.clock.steady();
    const { storedCount } = this.#options.pipeline.coordinator.totals;
    const seconds = Math.max(0.001, (nowMs - this.#lastMs) / 1000);
    const rate = (storedCount - this.#lastStoredCount) / seconds;
    this.#storedPerSecond += RATE_WEIGHT * (rate - this.#storedPerSecond);
    this.#lastStoredCount = storedCount;
    this.#lastMs = nowMs;
  }
}

function progressOf({ spec, takenOffset, committedOffset }: Lane): LaneProgress {
  const { source, partition, name } = spec;
  return { source, partition, name, takenOffset, committedOffset };
}
