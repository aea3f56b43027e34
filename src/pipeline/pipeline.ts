/**
 * The pipeline as a whole: arena, parse pool, writers, coordinator, committer and guards, put together once
 * for `up`, `process`, tests and benches. Edges are handed in.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import { Arena } from './arena.ts';
import { Committer } from './committer.ts';
import { Coordinator } from './coordinator.ts';
import { DiskGuard, Watchdog } from './guards.ts';
import { Health } from './health.ts';
import { IdleTrim } from './idle-trim.ts';
import { KafkaLanes } from './kafka-lanes.ts';
import { createParsePool, type ParsePool } from './parse-pool.ts';
import type { BlockStore, BlockTable, Clock, KafkaSource, LaneOwnership } from './ports.ts';
import { Writer } from './writer.ts';

export interface PipelineOptions {
  readonly workerCount: number;
  readonly memoryBudgetBytes: number;
  readonly maxRecordBytes: number;
  readonly defaultRetentionDays: number;
  /** Seals dead letters. */
  readonly letterKey: Uint8Array;
  readonly flushRows: number;
  readonly flushBytes: number;
  readonly flushIntervalMs: number;
  readonly minFreeDiskBytes: number;
}

export interface PipelinePorts {
  readonly store: BlockStore;
  readonly ownership: LaneOwnership;
  readonly freeDiskBytes: () => Promise<number>;
  /** Number of the source of a Kafka topic with this id. */
  readonly kafkaSourceNumber: (topic: string, topicId: string) => Promise<number>;
  readonly kafka?: KafkaSource | undefined;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
}

/** Shares of the memory budget: record batches, and blocks that wait for ClickHouse. The rest is the fetches'. */
const ARENA_SHARE = 0.25;
const BLOCK_SHARE = 0.25;
/** What one compressed batch may hold, so that decompressing it stays within the budget. */
const BATCH_SHARE = 0.5;
const MAX_LOG_INSERTS = 2;
const DRAIN_POLL_MS = 10;
/** Between attempts to write the last ledger rows. */
const LEDGER_RETRY_MS = 200;
/** How long a drain waits for Kafka's commits, which a rebalance holds back, once the ledger has everything. */
const KAFKA_COMMIT_MS = 5000;
const WORKER_START_MS = 60_000;

/** What one compressed batch may hold within the budget. */
export function decompressedLimit(memoryBudgetBytes: number): number {
  return Math.floor(memoryBudgetBytes * BATCH_SHARE);
}

/** Modes: `new` → `running` → `draining` (sources closed, in-flight work is stored and committed) → `stopped`. */
export class Pipeline {
  readonly health: Health;
  readonly arena: Arena;
  readonly pool: ParsePool;
  readonly coordinator: Coordinator;
  readonly kafkaLanes: KafkaLanes;
  readonly ownership: LaneOwnership;
  readonly #ports: PipelinePorts;
  readonly #writers: Readonly<Record<BlockTable, Writer>>;
  readonly #committer: Committer;
  readonly #diskGuard: DiskGuard;
  readonly #watchdog: Watchdog;
  readonly #idleTrim: IdleTrim;

  constructor(options: PipelineOptions, ports: PipelinePorts) {
    const { telemetry, clock } = ports;
    this.#ports = ports;
    this.ownership = ports.ownership;
    this.health = new Health(clock);
    this.health.set('starting', 'The pipeline is starting.');
    this.arena = new Arena(options.memoryBudgetBytes * ARENA_SHARE);
    this.pool = createParsePool(options.workerCount, {
      maxRecordBytes: options.maxRecordBytes,
      maxBatchBytes: decompressedLimit(options.memoryBudgetBytes),
      defaultRetentionDays: options.defaultRetentionDays,
      letterKey: options.letterKey,
    });
    this.#writers = this.#createWriters(options);
    this.coordinator = new Coordinator({
      arena: this.arena,
      pool: this.pool,
      writers: this.#writers,
      ownership: ports.ownership,
      telemetry,
      health: this.health,
      clock,
      maxBlockBytes: options.memoryBudgetBytes * BLOCK_SHARE,
    });
    const { arena, coordinator } = this;
    this.kafkaLanes = new KafkaLanes({
      arena,
      coordinator,
      telemetry,
      health: this.health,
      clock,
      sourceNumber: ports.kafkaSourceNumber,
      ownership: ports.ownership,
      rejoin: (epoch, reason) => ports.kafka?.rejoin(epoch, reason),
    });
    this.#committer = new Committer({
      coordinator,
      store: ports.store,
      health: this.health,
      telemetry,
      kafka: this.#kafkaCommits(),
    });
    this.#diskGuard = new DiskGuard({
      minFreeBytes: options.minFreeDiskBytes,
      freeBytes: ports.freeDiskBytes,
      writers: Object.values(this.#writers),
      health: this.health,
      telemetry,
    });
    this.#idleTrim = new IdleTrim({
      pool: this.pool,
      doneCount: () => coordinator.totals.receivedCount,
      isIdle: () => coordinator.inFlightCount === 0,
    });
    this.#watchdog = new Watchdog({
      clock,
      coordinator,
      health: this.health,
      kafka: ports.kafka,
      kafkaLanes: this.kafkaLanes,
    });
  }

  get isDiskLow(): boolean {
    return this.#diskGuard.isHeld;
  }

  /** Throws `thread_died` when the parse workers cannot be loaded: better than a program that only looks ready. */
  async start(): Promise<void> {
    await withDeadline(this.pool.frame({ kind: 'frame', bodies: [] }), WORKER_START_MS);
    await this.#diskGuard.start();
    this.#watchdog.start();
    this.#idleTrim.start();
    this.#committer.start();
    await this.#ports.kafka?.start(this.kafkaLanes);
    this.health.clear('starting');
  }

  /**
   * Takes nothing more from Kafka, waits until all that was taken is stored (and `isIdle` is true for whatever else
   * feeds the pipeline) and in the ledger, and commits it. False when the deadline came first. Not for want of the
   * commit alone: a group that has gone on without this member does not take it, and the next owner of a lane goes on
   * behind its ledger.
   */
  async drain(deadlineMs: number, isIdle: () => boolean = () => true): Promise<boolean> {
    this.health.set('stopping', 'The program is stopping.');
    this.kafkaLanes.drain();
    const { clock } = this.#ports;
    const endMs = clock.steady() + deadlineMs;
    const remainingMs = (): number => Math.max(0, endMs - clock.steady());
    const isDone = (): boolean => this.coordinator.inFlightCount === 0 && isIdle();
    while (!isDone() && remainingMs() > 0) await delay(DRAIN_POLL_MS);
    this.#committer.stop();
    await within(remainingMs(), this.#committer.writeLedger());
    // What was refused is claimed anew, or found to be somebody else's by now.
    const isDrained = (): boolean => isDone() && this.#committer.isLedgered;
    while (!isDrained() && remainingMs() > 0) {
      await delay(Math.min(LEDGER_RETRY_MS, remainingMs()));
      await within(remainingMs(), this.#committer.writeLedger());
    }
    await within(Math.min(KAFKA_COMMIT_MS, remainingMs()), this.#committer.commitKafka());
    return isDrained();
  }

  /** Ends everything; call `drain` first. */
  async stop(deadlineMs: number): Promise<void> {
    this.#committer.stop();
    this.#diskGuard.stop();
    this.#watchdog.stop();
    this.#idleTrim.stop();
    await this.#ports.kafka?.stop(deadlineMs);
    for (const lane of this.coordinator.lanes) this.coordinator.closeLane(lane);
    for (const writer of Object.values(this.#writers)) writer.close();
    await this.pool.stop();
  }

  #createWriters(options: PipelineOptions): Readonly<Record<BlockTable, Writer>> {
    const { store, telemetry, clock } = this.#ports;
    const ports = {
      store,
      telemetry,
      clock,
      isUpstreamBusy: () => this.coordinator.isParsing,
    };
    const limits = {
      flushRows: options.flushRows,
      flushBytes: options.flushBytes,
      flushIntervalMs: options.flushIntervalMs,
    };
    return {
      logs: new Writer({ ...limits, table: 'logs', maxInserts: MAX_LOG_INSERTS }, ports),
      dead_letters: new Writer({ ...limits, table: 'dead_letters', maxInserts: 1 }, ports),
    };
  }

  #kafkaCommits() {
    const { kafka } = this.#ports;
    if (kafka === undefined) return undefined;
    return { source: kafka, lanes: () => this.kafkaLanes.lanes, epoch: () => this.kafkaLanes.epoch };
  }
}

/** Resolves with the work, or without it when the time is over. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  await Promise.race([work, delay(ms, undefined, { ref: false })]);
}

async function withDeadline<T>(work: Promise<T>, deadlineMs: number): Promise<T> {
  const over = new AbortController();
  const deadline = delay(deadlineMs, undefined, { signal: over.signal }).then(() => {
    throw new MillraceError('thread_died', `The parse workers did not start within ${deadlineMs / 1000} s.`);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    over.abort();
    deadline.catch(() => undefined);
  }
}
