/**
 * Port to what is remembered of keyed bodies: where their rows are to lie, and what was answered. Nothing is
 * remembered for longer than 24 hours.
 */
import type { IngestKey, IngestOutcome } from './ingest-port.ts';
import type { LaneKey, LaneToken } from './ports.ts';

/** Where the rows of a body lie, should they be stored: offsets [fromOffset, toOffset) of a lane, and their record time. */
export interface BodyPlace {
  readonly fromOffset: number;
  readonly toOffset: number;
  /** Milliseconds since the epoch. */
  readonly receivedMs: number;
}

/** A place as it is written: under the token of its lane, so that nothing is written once the lane was lost. */
export interface Reservation extends BodyPlace {
  readonly token: LaneToken;
  readonly key: IngestKey;
}

/** A place that was reserved and not withdrawn. */
export interface FoundReservation extends BodyPlace, LaneKey {
  readonly bodyDigest: string;
  /** By ClickHouse's clock. */
  readonly ageMs: number;
}

export type StoredOutcome = Extract<IngestOutcome, { kind: 'stored' }>;

export interface CompletedBody {
  readonly key: IngestKey;
  readonly outcome: StoredOutcome;
}

export interface KeyRecord {
  /** The oldest first. */
  readonly reservations: readonly FoundReservation[];
  readonly completed?: { readonly bodyDigest: string; readonly outcome: StoredOutcome };
}

/** Errors are MillraceErrors; `lane_closed`: the token is revoked. After any failure it is unknown what was written. */
export interface IdempotencyStore {
  read(digest: string): Promise<KeyRecord>;
  /**
   * Writes the reservations, then looks whether they are the only ones of their keys: true for those that are. The others are
   * withdrawn again. Of two that are made at the same time at least one sees the other.
   */
  reserve(reservations: readonly Reservation[]): Promise<readonly boolean[]>;
  /** Only for places of which no row was sent and none will be. */
  withdraw(reservations: readonly Reservation[]): Promise<void>;
  complete(bodies: readonly CompletedBody[]): Promise<void>;
}
