/**
 * The real pipeline in this process: real Kafka (the shared broker) or deliveries by hand, real embedded ClickHouse,
 * real worker threads. What the program's own composition adds is only the API.
 */
import { createKafkaSource, type KafkaSourceOptions } from '../../src/bus/kafka-source.ts';
import { type HealthReason } from '../../src/pipeline/health.ts';
import { Pipeline, type PipelineOptions } from '../../src/pipeline/pipeline.ts';
import type { BlockStore, KafkaSource } from '../../src/pipeline/ports.ts';
import { createBlockStore } from '../../src/store/block-store.ts';
import { readFreeDiskBytes } from '../../src/store/disk.ts';
import { createOwnerName } from '../../src/store/lane-claims.ts';
import { createLaneOwnership } from '../../src/store/lane-ownership.ts';
import { registerSource } from '../../src/store/sources.ts';
import { RecordingTelemetry, type TestClickHouse } from './clickhouse.ts';
import { kafkaBrokers, uniqueName } from './kafka.ts';
import { TEST_LETTER_KEY } from './letters.ts';
import { until } from './until.ts';

const MIB = 1024 * 1024;

export interface TestPipelineOptions {
  readonly clickhouse: TestClickHouse;
  /** Absent: no Kafka; deliveries are handed to `pipeline.kafkaLanes` by the test. */
  readonly topics?: readonly string[];
  readonly groupId?: string;
  readonly kafka?: Partial<KafkaSourceOptions>;
  /** Differences from the program's defaults. */
  readonly settings?: Partial<PipelineOptions>;
  readonly blockStore?: BlockStore;
  readonly freeDiskBytes?: () => Promise<number>;
}

export interface TestPipeline {
  readonly pipeline: Pipeline;
  readonly kafka: KafkaSource | undefined;
  readonly groupId: string;
  readonly telemetry: RecordingTelemetry;
  /** Resolves when so many records were stored, filtered or dead-lettered since the start. */
  untilReceived(count: number, timeoutMs?: number): Promise<void>;
  /** The reasons that keep it from being ready. */
  problems(): HealthReason[];
  /** Drains (20 s at most) and stops. False: something was left. */
  stop(): Promise<boolean>;
}

const DEFAULTS: PipelineOptions = {
  workerCount: 1,
  memoryBudgetBytes: 192 * MIB,
  maxRecordBytes: MIB,
  defaultRetentionDays: 30,
  letterKey: TEST_LETTER_KEY,
  flushRows: 100_000,
  flushBytes: 32 * MIB,
  flushIntervalMs: 250,
  minFreeDiskBytes: 0,
};

/** Cluster id of sources that have none because the test delivers by hand. */
const NO_CLUSTER = 'by-hand';

export async function startPipeline(options: TestPipelineOptions): Promise<TestPipeline> {
  const { clickhouse, topics } = options;
  const telemetry = new RecordingTelemetry();
  const groupId = options.groupId ?? uniqueName('group');
  const kafka =
    topics === undefined
      ? undefined
      : createKafkaSource(
          { brokers: kafkaBrokers(), clientId: 'test', groupId, topics, ...options.kafka },
          telemetry,
        );
  const owner = createOwnerName();
  const pipeline = new Pipeline(
    { ...DEFAULTS, ...options.settings },
    {
      store: options.blockStore ?? createBlockStore(clickhouse.store, { owner }),
      ownership: createLaneOwnership(clickhouse.store, { owner }),
      freeDiskBytes: options.freeDiskBytes ?? (() => readFreeDiskBytes(clickhouse.store)),
      kafkaSourceNumber: async (topic, topicId) => {
        const cluster = kafka?.clusterId ?? NO_CLUSTER;
        return (await registerSource(clickhouse.store, { kind: 'kafka', cluster, topic, topicId })).number;
      },
      kafka,
      telemetry,
      clock: { now: () => Date.now(), steady: () => performance.now() },
    },
  );
  await pipeline.start();
  const { coordinator } = pipeline;
  return {
    pipeline,
    kafka,
    groupId,
    telemetry,
    untilReceived: (count, timeoutMs = 60_000) =>
      until(() => coordinator.totals.receivedCount >= count, {
        timeoutMs,
        seen: () => ({
          totals: coordinator.totals,
          health: pipeline.health.problems,
          kafka: kafka?.status(),
          events: telemetry.events.slice(-10),
        }),
      }),
    problems: () => pipeline.health.problems.map(({ reason }) => reason),
    async stop() {
      const isDrained = await pipeline.drain(20_000);
      await pipeline.stop(5000);
      return isDrained;
    },
  };
}
