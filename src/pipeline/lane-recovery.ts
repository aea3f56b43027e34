/**
 * Brings doubtful lanes back: once nothing of theirs is under way they are claimed anew, on the condition that they
 * are still this process's, and go on past what turned out to be stored.
 */
import { errorMessage, type MillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Health } from './health.ts';
import type { Lane } from './lane.ts';
import type { Clock, LaneOwnership, LaneStanding } from './ports.ts';

export interface LaneRecoveryPorts {
  readonly ownership: LaneOwnership;
  readonly telemetry: Telemetry;
  readonly health: Health;
  readonly clock: Clock;
}

export interface LaneRecoveryHandlers {
  /** Whether no parse task and no insert of the lane is under way. */
  readonly isAtRest: (lane: Lane) => boolean;
  readonly onResumed: (lane: Lane) => void;
  /** Somebody else has claimed the lane. */
  readonly onLost: (lane: Lane) => void;
}

const POLL_MS = 20;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;
/** Whose reason it is in health. */
const OWNER = 'inserts';

/**
 * Modes: `idle` (no doubtful lane) and `recovering` (a look every 20 ms at which lanes are due and at rest; all of them
 * are claimed together, one claim at a time). Health names ClickHouse until each lane that failed has stored something
 * again.
 */
export class LaneRecovery {
  readonly #ports: LaneRecoveryPorts;
  readonly #handlers: LaneRecoveryHandlers;
  /** Doubtful lanes, and when each may be claimed; milliseconds of the steady clock. */
  readonly #dueMs = new Map<Lane, number>();
  readonly #failing = new Set<Lane>();
  #claimFailureCount = 0;
  #isClaiming = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(ports: LaneRecoveryPorts, handlers: LaneRecoveryHandlers) {
    this.#ports = ports;
    this.#handlers = handlers;
  }

  /** `mayHurry`: trying again at once makes sense, since something is done differently. */
  doubt(lane: Lane, error: MillraceError, mayHurry: boolean): void {
    if (!this.#dueMs.has(lane)) {
      const backoffMs = mayHurry ? 0 : backoff(lane.doubtCount);
      lane.doubtCount++;
      this.#dueMs.set(lane, this.#ports.clock.steady() + backoffMs);
    }
    if (error.isRetryable && error.code !== 'lane_closed') {
      this.#failing.add(lane);
      this.#ports.health.set('clickhouse_unavailable', error.message, OWNER);
    }
    this.#arm();
  }

  /** Something of the lane was stored, or it is closed. */
  clear(lane: Lane): void {
    if (!this.#failing.delete(lane)) return;
    if (this.#failing.size === 0) this.#ports.health.clear('clickhouse_unavailable', OWNER);
  }

  forget(lane: Lane): void {
    this.#dueMs.delete(lane);
    this.clear(lane);
  }

  #arm(): void {
    if (this.#dueMs.size === 0 || this.#timer !== undefined || this.#isClaiming) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#claimDue();
    }, POLL_MS);
  }

  async #claimDue(): Promise<void> {
    const nowMs = this.#ports.clock.steady();
    const lanes: Lane[] = [];
    for (const [lane, dueMs] of this.#dueMs) {
      if (dueMs <= nowMs && this.#handlers.isAtRest(lane)) lanes.push(lane);
    }
    if (lanes.length > 0) {
      this.#isClaiming = true;
      try {
        await this.#claim(lanes);
      } finally {
        this.#isClaiming = false;
      }
    }
    this.#arm();
  }

  async #claim(lanes: readonly Lane[]): Promise<void> {
    const { ownership, telemetry } = this.#ports;
    const requests = lanes.map(({ token, storedOffset }) => ({
      source: token.source,
      partition: token.partition,
      heldEpoch: token.epoch,
      fromOffset: storedOffset,
    }));
    let standings: readonly (LaneStanding | undefined)[];
    try {
      standings = await ownership.claim(requests, { isWanted: () => lanes.some((lane) => !lane.isClosed) });
    } catch (error) {
      return this.#claimFailed(lanes, error);
    }
    this.#claimFailureCount = 0;
    telemetry.emit('lanes_claimed', { laneCount: lanes.length }, lanes.length);
    for (const [i, lane] of lanes.entries()) this.#settle(lane, standings[i]);
  }

  #settle(lane: Lane, standing: LaneStanding | undefined): void {
    if (lane.isClosed) return;
    this.#dueMs.delete(lane);
    if (standing === undefined) return this.#handlers.onLost(lane);
    lane.resume(standing);
    if (lane.chunks.length === 0) this.clear(lane);
    this.#handlers.onResumed(lane);
  }

  #claimFailed(lanes: readonly Lane[], error: unknown): void {
    const { clock, telemetry, health } = this.#ports;
    const dueMs = clock.steady() + backoff(this.#claimFailureCount++);
    telemetry.emit('claim_failed', { laneCount: lanes.length, error: errorMessage(error) });
    for (const lane of lanes) {
      if (lane.isClosed) continue;
      this.#dueMs.set(lane, dueMs);
      this.#failing.add(lane);
    }
    if (this.#failing.size > 0) health.set('clickhouse_unavailable', errorMessage(error), OWNER);
  }
}

function backoff(failureCount: number): number {
  return Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** failureCount);
}
