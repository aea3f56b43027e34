/**
 * Entry of the API thread. Whatever ends the thread, its sockets are closed first: a thread that ends while
 * uWebSockets.js holds one takes the whole process with it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { ApiService } from '../src/api/api-service.ts';
import { toPlainError } from '../src/errors.ts';
import type { ApiWorkerData, FromApi } from '../src/pipeline/api-protocol.ts';
import { createStore } from '../src/store/clickhouse-client.ts';
import { repairParts } from '../src/store/index-repair.ts';

if (parentPort === null) throw new Error('api-server is started by the program, not by hand');
const port = parentPort;
const { settings, storesLogs, isHalted } = workerData as ApiWorkerData;

/** What they are for is small and quick. */
const ACCESS_CONNECTIONS = 4;

const store = createStore(settings.store);
const accessStore = createStore({ ...settings.store, maxConnections: ACCESS_CONNECTIONS });
const service = new ApiService(settings, {
  store,
  accessStore,
  port,
  storesLogs,
  onHalted: () => {
    Atomics.store(isHalted, 0, 1);
    Atomics.notify(isHalted, 0);
  },
  exit: (code) => process.exit(code),
});

for (const each of [store, accessStore]) {
  repairParts(each, service.telemetry, (part) => {
    const message: FromApi = { kind: 'part_unreadable', part };
    port.postMessage(message);
  });
}

process.on('exit', () => service.halt());
process.on('uncaughtException', (error) => {
  const message: FromApi = { kind: 'failed', error: toPlainError(error) };
  port.postMessage(message);
  process.exit(1);
});

await service.start();
