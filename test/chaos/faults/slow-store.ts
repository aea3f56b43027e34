/**
 * A ClickHouse of a chosen capacity: a proxy in front of the embedded server that holds back the answers of inserts,
 * so that so many bytes of them are taken per second and no more. Everything else passes at once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { StoreOptions } from '../../../src/store/clickhouse-client.ts';
import { type KeyedProxy, startKeyedProxy } from '../../support/keyed-proxy.ts';

/** Bodies below this are ledger rows, claims and questions. */
const SMALL_BYTES = 4096;

export interface SlowStore extends KeyedProxy {
  /** Undefined: as fast as the server is. */
  bytesPerSecond: number | undefined;
}

export async function startSlowStore(connection: StoreOptions, bytesPerSecond?: number): Promise<SlowStore> {
  let freeAtMs = 0;
  const hold = async (bodyBytes: number): Promise<void> => {
    if (slow.bytesPerSecond === undefined || bodyBytes < SMALL_BYTES) return;
    const nowMs = performance.now();
    freeAtMs = Math.max(nowMs, freeAtMs) + (1000 * bodyBytes) / slow.bytesPerSecond;
    await delay(freeAtMs - nowMs);
  };
  const proxy = await startKeyedProxy(connection, hold);
  const slow: SlowStore = { ...proxy, bytesPerSecond };
  return slow;
}
