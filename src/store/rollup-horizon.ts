/**
 * Which buckets of rollups may be computed anew: those of which no base row can have expired. A minute is made of rows
 * of `logs`, an hour of minutes, and hours outlive minutes, which outlive rows: computed anew, a bucket whose base has
 * gone would lose all but what came late.
 *
 * Base rows live from their arrival on, and no row arrives before its lane was first claimed, nor, clocks apart, before
 * the time of its event. So a bucket is safe when it, or its lane, is younger than the lifetime of its base.
 */
import type { LaneKey } from '../pipeline/ports.ts';
import type { Store } from './clickhouse-client.ts';
import { laneCode, lanesCondition } from './lane-guard.ts';

/** The rows of one lane in one minute or hour. */
export interface Bucket extends LaneKey {
  /** Seconds since the epoch. */
  readonly start: number;
}

export interface RollupHorizon {
  /** False: base rows of the bucket may have expired. */
  readonly isMinuteSafe: (minute: Bucket) => boolean;
  readonly isHourSafe: (hour: Bucket) => boolean;
}

/** Days that a row of `logs` is kept unless it says otherwise. */
const LOG_DAYS = 30;
const DAY_SECONDS = 86_400;
const HOUR_SECONDS = 3600;
/** For clocks of hosts that are fast, and for the time between this reading and the repair. */
const MARGIN_SECONDS = DAY_SECONDS;

interface Lifetimes {
  /** By the server's clock, seconds. */
  readonly now: number;
  readonly logDays: number;
  readonly minuteDays: number;
}

/** The shortest of each kind that is in use. A table whose TTL is not counted in days is taken to keep nothing. */
async function readLifetimes(store: Store): Promise<Lifetimes> {
  const [row] = await store.query<Lifetimes>(
    `SELECT toUnixTimestamp(now()) AS now,
       (SELECT if(count() = 0, ${LOG_DAYS}, least(${LOG_DAYS}, min(toUInt32OrZero(splitByChar('-', partition_id)[2]))))
        FROM system.parts WHERE database = currentDatabase() AND table = 'logs' AND active) AS logDays,
       (SELECT min(toUInt32OrZero(extract(engine_full, 'last_arrival \\\\+ toIntervalDay\\\\((\\\\d+)\\\\)')))
        FROM system.tables WHERE database = currentDatabase() AND name IN ('events_1m', 'host_metrics_1m')) AS minuteDays`,
  );
  return row ?? { now: 0, logDays: 0, minuteDays: 0 };
}

/** When each lane was first claimed, seconds; by its code. */
async function readFirstClaims(
  store: Store,
  lanes: readonly LaneKey[],
): Promise<ReadonlyMap<number, number>> {
  const rows = await store.query<LaneKey & { first: number }>(
    `SELECT source, partition, toUnixTimestamp(min(claimed_at)) AS first FROM lane_claims
     WHERE ${lanesCondition(lanes)} GROUP BY source, partition`,
  );
  return new Map(rows.map((row) => [laneCode(row), row.first]));
}

export async function readRollupHorizon(store: Store, lanes: readonly LaneKey[]): Promise<RollupHorizon> {
  const { now, logDays, minuteDays } = await readLifetimes(store);
  const firstClaims = await readFirstClaims(store, lanes);
  const isSafe = (lane: LaneKey, start: number, days: number): boolean => {
    const oldest = now - days * DAY_SECONDS + MARGIN_SECONDS;
    if ((firstClaims.get(laneCode(lane)) ?? 0) >= oldest) return true;
    // What is dated ahead may have arrived at any time before.
    return start >= oldest && start <= now + MARGIN_SECONDS;
  };
  return {
    // A minute computed anew feeds its hour again, which must be computed anew after it.
    isMinuteSafe: (minute) =>
      isSafe(minute, minute.start - (minute.start % HOUR_SECONDS), Math.min(logDays, minuteDays)),
    isHourSafe: (hour) => isSafe(hour, hour.start, minuteDays),
  };
}
