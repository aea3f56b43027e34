/**
 * A real embedded ClickHouse for tests, on a temporary data directory that is removed at the end.
 * Ready in about a second: one start, one set of migrations.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createStore, type Store, type StoreOptions } from '../../src/store/clickhouse-client.ts';
import { EmbeddedServer } from '../../src/store/embedded/embedded-server.ts';
import { migrate } from '../../src/store/migrations.ts';
import { applyTableSettings } from '../../src/store/table-settings.ts';
import type { InternalEventName, Telemetry, TelemetryFields } from '../../src/telemetry.ts';

export interface RecordedEvent {
  readonly event: InternalEventName;
  readonly fields: TelemetryFields;
}

/** Keeps what was emitted. */
export class RecordingTelemetry implements Telemetry {
  readonly events: RecordedEvent[] = [];

  emit(event: InternalEventName, fields: TelemetryFields = {}): void {
    this.events.push({ event, fields });
  }

  count(event: InternalEventName): number {
    return this.events.filter((recorded) => recorded.event === event).length;
  }
}

export interface TestClickHouse {
  readonly store: Store;
  /** For further clients of the same server and database. */
  readonly connection: StoreOptions;
  readonly server: EmbeddedServer;
  readonly telemetry: RecordingTelemetry;
  readonly dataDir: string;
  /** SIGKILL to the server process; the supervisor starts it again on the same port. */
  kill(): void;
  /** SIGSTOP and SIGCONT to the server process. */
  freeze(): void;
  thaw(): void;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

export interface TestClickHouseOptions {
  /** False: the database exists but is empty. */
  readonly isMigrated?: boolean;
  readonly requestTimeoutMs?: number;
}

export async function startClickHouse(options: TestClickHouseOptions = {}): Promise<TestClickHouse> {
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-clickhouse-'));
  const telemetry = new RecordingTelemetry();
  const server = new EmbeddedServer({ dataDir, telemetry });
  await server.start();
  const connection: StoreOptions = {
    url: server.url,
    headers: server.headers,
    database: 'millrace',
    ...(options.requestTimeoutMs !== undefined && { requestTimeoutMs: options.requestTimeoutMs }),
  };
  const setup = createStore({ ...connection, database: 'default' });
  await setup.command('CREATE DATABASE IF NOT EXISTS millrace');
  await setup.close();
  const store = createStore(connection);
  if (options.isMigrated !== false) {
    await migrate(store, { telemetry });
    await applyTableSettings(store, { isFsync: false });
  }
  return {
    store,
    connection,
    server,
    telemetry,
    dataDir,
    kill: () => process.kill(server.pid, 'SIGKILL'),
    freeze: () => process.kill(server.pid, 'SIGSTOP'),
    thaw: () => process.kill(server.pid, 'SIGCONT'),
    stop: async () => {
      await store.close();
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
