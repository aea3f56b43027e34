/** A consumer of the Kafka source for tests: keeps copies of all deliveries and waits for conditions. */
import { setTimeout as delay } from 'node:timers/promises';
import { createKafkaSource, type KafkaSourceOptions } from '../../src/bus/kafka-source.ts';
import type {
  AssignedPartition,
  Delivery,
  KafkaSource,
  KafkaSourceHandlers,
} from '../../src/pipeline/ports.ts';
import { kafkaBrokers, type RecordedTelemetry, recordTelemetry, uniqueName } from './kafka.ts';

export interface Collector {
  readonly source: KafkaSource;
  readonly telemetry: RecordedTelemetry;
  readonly deliveries: Delivery[];
  readonly assignments: { readonly epoch: number; readonly partitions: readonly AssignedPartition[] }[];
  /** Sum of the record counts in the headers of the batches that are not below their fetch offset. */
  recordCount(): number;
  /** Resolves when `condition` holds; rejects after `timeoutMs` (default 60 s). */
  until(condition: () => boolean, timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
}

export interface CollectOptions extends Partial<KafkaSourceOptions> {
  readonly topics: readonly string[];
  /** Called in place of keeping the delivery at once; keeps it unless it throws. */
  readonly onDelivery?: (delivery: Delivery, heartbeat: () => Promise<void>) => Promise<void>;
  readonly onAssigned?: KafkaSourceHandlers['onAssigned'];
}

/** Starts a source on the shared broker, or on `brokers`, in a group of its own unless one is given. */
export async function collect(options: CollectOptions): Promise<Collector> {
  const { onDelivery, onAssigned, ...sourceOptions } = options;
  const telemetry = recordTelemetry();
  const source = createKafkaSource(
    {
      brokers: sourceOptions.brokers ?? kafkaBrokers(),
      clientId: 'test',
      groupId: uniqueName('group'),
      heartbeatIntervalMs: 300,
      sessionTimeoutMs: 6000,
      ...sourceOptions,
    },
    telemetry,
  );
  const deliveries: Delivery[] = [];
  const assignments: Collector['assignments'] = [];
  await source.start({
    onAssigned: async (epoch, partitions) => {
      assignments.push({ epoch, partitions });
      await onAssigned?.(epoch, partitions);
    },
    onDelivery: async (delivery, heartbeat) => {
      await onDelivery?.(delivery, heartbeat);
      deliveries.push(copyOf(delivery));
    },
  });
  return {
    source,
    telemetry,
    deliveries,
    assignments,
    recordCount: () => allBatches(deliveries).reduce((sum, bytes) => sum + bytes.readInt32BE(57), 0),
    until: async (condition, timeoutMs = 60_000) => {
      const deadline = Date.now() + timeoutMs;
      while (!condition()) {
        if (Date.now() > deadline) {
          const seen = JSON.stringify({ status: source.status(), events: telemetry.events.slice(-10) });
          throw new Error(`Not within ${timeoutMs} ms: ${condition.toString()}; ${seen}`);
        }
        await delay(20);
      }
    },
    stop: () => source.stop(10_000),
  };
}

/** The bytes of all batches, in order of delivery. */
export function allBatches(deliveries: readonly Delivery[]): Buffer[] {
  return deliveries.flatMap(({ batches }) => batches.map(({ bytes }) => Buffer.from(bytes)));
}

function copyOf(delivery: Delivery): Delivery {
  const batches = delivery.batches.map(({ bytes, baseOffset, lastOffset }) => ({
    bytes: Uint8Array.from(bytes),
    baseOffset,
    lastOffset,
  }));
  return { ...delivery, batches };
}
