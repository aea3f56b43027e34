/**
 * A running program, put together from its parts: store, Kafka, pipeline, API thread. `up` and `process` differ
 * only in which parts they have.
 */
import { resolve } from 'node:path';
import { createProbeServer } from '../api/probe-server.ts';
import { createKafkaSource } from '../bus/kafka-source.ts';
import type { Config } from '../config.ts';
import { MillraceError } from '../errors.ts';
import { armFailpoints } from '../failpoints.ts';
import { readPackageVersion } from '../package-info.ts';
import { ApiThread } from '../pipeline/api-thread.ts';
import { DirectSource } from '../pipeline/direct-source.ts';
import type { IngestPort } from '../pipeline/ingest-port.ts';
import { KeyedIngest } from '../pipeline/keyed-ingest.ts';
import type { Lane } from '../pipeline/lane.ts';
import { registerLaneGauges } from '../pipeline/lane-gauges.ts';
import { Pipeline } from '../pipeline/pipeline.ts';
import type { KafkaSource } from '../pipeline/ports.ts';
import { Status } from '../pipeline/status.ts';
import { systemClock as clock } from '../pipeline/system-clock.ts';
import { createBlockStore } from '../store/block-store.ts';
import { readCursorSecret } from '../store/cursor-secret.ts';
import { readFreeDiskBytes } from '../store/disk.ts';
import { makeDataDir } from '../store/embedded/make-data-dir.ts';
import { createIdempotencyStore } from '../store/idempotency.ts';
import { createOwnerName } from '../store/lane-claims.ts';
import { createLaneOwnership } from '../store/lane-ownership.ts';
import { type OpenedStore, openStore } from '../store/open-store.ts';
import { registerSource, warnOfFewSources } from '../store/sources.ts';
import type { ServiceTelemetry } from '../telemetry-service.ts';
import { apiSettings, HTTP_STOP_MS, REQUEST_DEADLINE_MS } from './api-settings.ts';
import { DEFAULT_RETENTION_DAYS, storeOptions } from './command-store.ts';
import { DirectLanes } from './direct-lanes.ts';
import { kafkaConnection } from './kafka-connection.ts';
import { type LetterKeys, startLetterKeys } from './letter-keys.ts';

/** `up` has the whole API, ingestion over HTTP included; `process` only probes and metrics. */
export type ServiceKind = 'up' | 'process';

/** What listens for HTTP: the API thread, or the probes on the main thread. */
interface HttpEnd {
  stop(deadlineMs: number): Promise<void>;
}

const KAFKA_STOP_MS = 5000;
const HEARTBEAT_MS = 3000;
const HEARTBEATS_PER_SESSION = 3;
/** In DATA_DIR. */
const MEMBER_NOTES = 'kafka-members';

/** Modes: `start` → running → `stop`, which drains within the deadline and closes what was opened, last first. */
export class Service {
  readonly #config: Config;
  readonly #kind: ServiceKind;
  readonly #telemetry: ServiceTelemetry;
  /** Of its claims and of all that it writes. */
  readonly #owner = createOwnerName();
  #opened: OpenedStore | undefined;
  #pipeline: Pipeline | undefined;
  #ingest: KeyedIngest | undefined;
  #status: Status | undefined;
  #http: HttpEnd | undefined;
  #lanes: DirectLanes | undefined;
  #isStarted = false;
  #isStopping = false;

  constructor(config: Config, telemetry: ServiceTelemetry, kind: ServiceKind) {
    this.#config = config;
    this.#telemetry = telemetry;
    this.#kind = kind;
  }

  /** The opened store; only after `start`. */
  get store(): OpenedStore {
    if (this.#opened === undefined) throw new MillraceError('internal', 'The service was not started.');
    return this.#opened;
  }

  /** Only after `start`. */
  get pipeline(): Pipeline {
    if (this.#pipeline === undefined) throw new MillraceError('internal', 'The service was not started.');
    return this.#pipeline;
  }

  /** Takes bodies in, as `POST /logs` does. Only after `start` of `up`. */
  get ingest(): IngestPort {
    if (this.#ingest === undefined) throw new MillraceError('internal', 'The service takes no bodies.');
    return this.#ingest;
  }

  /** Opens everything; what was opened is closed again when a part cannot be. Resolves with the API's port. */
  async start(): Promise<number> {
    const isProduction = process.env['NODE_ENV'] === 'production';
    if (armFailpoints(this.#config.failpoints, { isProduction })) {
      this.#telemetry.emit('failpoints_armed', { failpoints: this.#config.failpoints ?? '' });
    }
    try {
      const opened = await openStore({
        ...storeOptions(this.#config, this.#telemetry),
        isFsync: this.#config.clickhouseFsync,
      });
      this.#opened = opened;
      // With an external ClickHouse nobody has made it yet, and the keys go there.
      await makeDataDir(resolve(this.#config.dataDir));
      const letterKeys = await startLetterKeys(this.#config, opened.store);
      const pipeline = this.#createPipeline(opened, letterKeys);
      this.#pipeline = pipeline;
      const status = this.#createStatus(pipeline);
      this.#status = status;
      const port =
        this.#kind === 'up'
          ? await this.#startApi(opened, { status, letterKeys })
          : await this.#startProbes(status);
      await pipeline.start();
      this.#lanes?.startSettling(this.#telemetry);
      this.#isStarted = true;
      this.#telemetry.emit('started', { version: readPackageVersion() });
      return port;
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  /** True when everything that was taken is stored and in the ledger. */
  async stop(deadlineMs: number): Promise<boolean> {
    this.#isStopping = true;
    if (this.#isStarted) this.#telemetry.emit('stopping', { deadlineMs });
    const isDrained =
      (await this.#pipeline?.drain(deadlineMs, () => (this.#ingest?.inFlightCount ?? 0) === 0)) ?? true;
    this.#ingest?.close();
    await this.#http?.stop(HTTP_STOP_MS);
    this.#status?.stop();
    await this.#lanes?.stop();
    await this.#pipeline?.stop(KAFKA_STOP_MS);
    await this.#opened?.close();
    if (this.#isStarted) this.#telemetry.emit('stopped', { isDrained });
    this.#telemetry.flush();
    return isDrained;
  }

  #createPipeline(opened: OpenedStore, [letterKey]: LetterKeys): Pipeline {
    const config = this.#config;
    const { store } = opened;
    const kafka = this.#createKafka();
    const owner = this.#owner;
    return new Pipeline(
      {
        workerCount: config.workers,
        memoryBudgetBytes: config.memoryBudgetBytes,
        maxRecordBytes: config.maxRecordBytes,
        defaultRetentionDays: DEFAULT_RETENTION_DAYS,
        letterKey,
        flushRows: config.flushRows,
        flushBytes: config.flushBytes,
        flushIntervalMs: config.flushIntervalMs,
        minFreeDiskBytes: config.minFreeDiskBytes,
      },
      {
        store: createBlockStore(store, { owner }),
        ownership: createLaneOwnership(store, { owner, telemetry: this.#telemetry }),
        freeDiskBytes: () => readFreeDiskBytes(store),
        kafkaSourceNumber: async (topic, topicId) => {
          const cluster = kafka?.clusterId ?? '';
          const registered = await registerSource(store, { kind: 'kafka', cluster, topic, topicId });
          warnOfFewSources(registered, this.#telemetry);
          return registered.number;
        },
        kafka,
        telemetry: this.#telemetry,
        clock,
      },
    );
  }

  #createKafka(): KafkaSource | undefined {
    const config = this.#config;
    if (config.kafkaBrokers.length === 0) return undefined;
    const { kafkaGroup: groupId, kafkaTopics: topics, kafkaSessionTimeoutMs: sessionTimeoutMs } = config;
    const heartbeatIntervalMs = Math.min(HEARTBEAT_MS, Math.floor(sessionTimeoutMs / HEARTBEATS_PER_SESSION));
    const memberNotesDir = resolve(config.dataDir, MEMBER_NOTES);
    return createKafkaSource(
      { ...kafkaConnection(config), groupId, topics, sessionTimeoutMs, heartbeatIntervalMs, memberNotesDir },
      this.#telemetry,
    );
  }

  async #createIngest(opened: OpenedStore): Promise<KeyedIngest> {
    const pipeline = this.pipeline;
    const { arena, coordinator, pool } = pipeline;
    const refusal = (): MillraceError | undefined => {
      if (this.#isStopping) return new MillraceError('shutting_down', 'Nothing more is taken: stopping.');
      if (pipeline.isDiskLow)
        return new MillraceError('disk_full', 'Nothing more is taken: the disk is nearly full.');
      return undefined;
    };
    const lanes = new DirectLanes({
      store: opened.store,
      owner: this.#owner,
      pipeline,
      isShared: this.#config.clickhouseUrl !== undefined,
    });
    this.#lanes = lanes;
    const openLane = (onLost: () => void): Promise<Lane> => lanes.open('http', onLost);
    const ports = { arena, coordinator, pool, clock, refusal, openLane };
    const plain = new DirectSource(ports);
    await plain.start();
    this.#ingest = new KeyedIngest({
      ...ports,
      plain,
      keys: createIdempotencyStore(opened.store, this.#owner),
      ownership: pipeline.ownership,
      store: createBlockStore(opened.store, { owner: this.#owner }),
      // An embedded ClickHouse has no other program; at an external one it may be alive, and slow.
      takeOverAfterMs: this.#config.clickhouseUrl === undefined ? 0 : REQUEST_DEADLINE_MS,
    });
    return this.#ingest;
  }

  #createStatus(pipeline: Pipeline): Status {
    const telemetry = this.#telemetry;
    registerLaneGauges((name, help, read) => telemetry.gauge(name, help, read), pipeline.coordinator);
    const status = new Status({
      pipeline,
      clock,
      version: readPackageVersion(),
      renderMetrics: async () => ({ contentType: telemetry.contentType, text: await telemetry.render() }),
    });
    status.start();
    return status;
  }

  async #startProbes(status: Status): Promise<number> {
    const { httpHost: host, adminPort: port, metricsToken } = this.#config;
    const server = createProbeServer(
      { host, port, metricsToken: metricsToken?.reveal() },
      status,
      this.#telemetry,
    );
    this.#http = server;
    return await server.listen();
  }

  async #startApi(
    opened: OpenedStore,
    { status, letterKeys }: { readonly status: Status; readonly letterKeys: LetterKeys },
  ): Promise<number> {
    const ingest = await this.#createIngest(opened);
    const cursorSecret = await readCursorSecret(opened.store);
    const api = new ApiThread(apiSettings(this.#config, { opened, letterKeys, cursorSecret }), {
      ingest,
      status,
      stored: this.pipeline.coordinator.stored,
      restorePart: opened.restorePart,
      telemetry: this.#telemetry,
    });
    this.#http = api;
    const { port } = await api.start();
    return port;
  }
}
