/**
 * What a program without a pipeline says of itself: whether ClickHouse answers. Its counts of events are 0.
 */
import { Health } from './health.ts';
import type { Clock } from './ports.ts';
import type { SnapshotKind, StatusPort, StatusSnapshots } from './status-port.ts';

export interface StoreStatusOptions {
  /** Never rejects. */
  readonly isStoreAnswering: () => Promise<boolean>;
  readonly clock: Clock;
  readonly version: string;
  readonly renderMetrics: () => Promise<StatusSnapshots['metrics']>;
}

const PING_INTERVAL_MS = 2000;

/** Modes: new → `start` (asks ClickHouse again and again) → `stop`. */
export class StoreStatus implements StatusPort {
  readonly #options: StoreStatusOptions;
  readonly #health: Health;
  readonly #startedMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StoreStatusOptions) {
    this.#options = options;
    this.#health = new Health(options.clock);
    this.#startedMs = options.clock.steady();
  }

  start(): void {
    this.#timer = setTimeout(() => void this.#ask(), PING_INTERVAL_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#health.set('stopping', 'The program was told to stop.');
  }

  async snapshot<K extends SnapshotKind>(kind: K): Promise<StatusSnapshots[K]> {
    const makers: { readonly [S in SnapshotKind]: () => StatusSnapshots[S] | Promise<StatusSnapshots[S]> } = {
      readiness: () => ({ problems: this.#health.problems }),
      lanes: () => [],
      status: () => this.#status(),
      metrics: () => this.#options.renderMetrics(),
    };
    return await makers[kind]();
  }

  async #ask(): Promise<void> {
    if (await this.#options.isStoreAnswering()) this.#health.clear('clickhouse_unavailable');
    else this.#health.set('clickhouse_unavailable', 'ClickHouse does not answer.');
    // Stopped meanwhile.
    if (this.#timer !== undefined) this.start();
  }

  #status(): Record<string, unknown> {
    const { clock, version } = this.#options;
    const { problems } = this.#health;
    const memory = process.memoryUsage();
    return {
      version,
      uptime_seconds: Math.round((clock.steady() - this.#startedMs) / 1000),
      ready: problems.length === 0,
      problems,
      stored_per_second: 0,
      received: 0,
      stored: 0,
      dead_lettered: 0,
      slow_path: 0,
      buffers: { records_bytes: 0, blocks_bytes: 0 },
      memory: { resident_bytes: memory.rss, heap_bytes: memory.heapUsed },
      lanes: [],
    };
  }
}
