/**
 * The time in which nobody can write a lane: while rows that stand are replaced, and while rollups are computed anew.
 * Running programs lose their tokens at its begin, find that lanes cannot be taken, and take them when it is over.
 */
import type { LaneKey } from '../pipeline/ports.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Store } from './clickhouse-client.ts';
import {
  checkFenced,
  createOwnerName,
  fenceAllLanes,
  REPLACE_MUTEX,
  releaseFenced,
  takeFenced,
} from './lane-claims.ts';
import { withMutex } from './mutex.ts';
import type { Bucket } from './rollup-horizon.ts';
import { repairMinutes } from './rollup-repair.ts';

export interface Fence {
  /** Throws `lane_closed` when a lane was taken all the same, because this program stood still for too long. */
  readonly check: () => Promise<void>;
  /** Brings the rollups of the minutes in `replay_touched`, and their hours, to what the rows give. */
  repairTouched(telemetry: Telemetry | undefined): Promise<void>;
}

/**
 * How long a program that died in here keeps the others from going on; and how long one may stand still between its
 * last look and the statement that replaces, which cannot look for itself.
 */
export const FENCE_EXPIRY_MS = 120_000;
/** For another one in here; past the expiry of one that died. */
const WAIT_MS = FENCE_EXPIRY_MS + 60_000;
/** How long inserts that run may take to end. */
const WRITES_MS = 120_000;

export async function withFence<T>(store: Store, action: (fence: Fence) => Promise<T>): Promise<T> {
  const mutex = { name: REPLACE_MUTEX, expiryMs: FENCE_EXPIRY_MS, waitMs: WAIT_MS };
  return await withMutex(store, mutex, async () => {
    await fenceAllLanes(store, WRITES_MS);
    return await action({
      check: async () => await checkFenced(store),
      repairTouched: async (telemetry) => await repairMinutesTouched(store, telemetry),
    });
  });
}

/** The same repair by itself. */
export async function repairTouched(store: Store, telemetry: Telemetry | undefined): Promise<void> {
  await withFence(store, async (fence) => await fence.repairTouched(telemetry));
}

async function repairMinutesTouched(store: Store, telemetry: Telemetry | undefined): Promise<void> {
  const minutes = await store.query<Bucket>(
    `SELECT DISTINCT source, partition, toUnixTimestamp(minute) AS start FROM replay_touched
     ORDER BY start, source, partition`,
  );
  const lanes = await store.query<LaneKey>('SELECT DISTINCT source, partition FROM replay_touched');
  const owner = createOwnerName();
  await checkFenced(store);
  const tokens = await takeFenced(store, owner, lanes);
  try {
    await repairMinutes(store, { owner, telemetry, tokens }, minutes);
  } finally {
    await releaseFenced(store, tokens);
  }
}
