/**
 * What was stored, told to those who follow it: the way of a live tail that asks ClickHouse nothing.
 */
import type { LaneKey } from './ports.ts';

/** Offsets [fromOffset, toOffset) of a lane, all of them stored; of a lane in their order, without a hole. */
export interface StoredStretch extends LaneKey {
  readonly fromOffset: number;
  readonly toOffset: number;
  /** Native blocks of table `logs` with all rows of the stretch. Absent: whoever needs them asks ClickHouse. */
  readonly blocks?: readonly ArrayBuffer[];
}

export interface StoredNews {
  readonly stretches: readonly StoredStretch[];
  /** All lanes that this program writes now. What others write is not told. */
  readonly lanes: readonly LaneEnd[];
  /** When it was told, milliseconds since the epoch. */
  readonly atMs: number;
  /** Milliseconds since the epoch: whatever of these lanes was stored before that has been told. */
  readonly toldToMs: number;
}

export interface LaneEnd extends LaneKey {
  /** Everything below is stored. */
  readonly storedOffset: number;
}

/** One follower at a time. */
export interface StoredPort {
  /**
   * News comes from now on, at least once a second, in the place of whoever followed before; the first has no stretches:
   * it says where all begins. What is returned ends it.
   */
  follow(onNews: (news: StoredNews) => void): () => void;
  /** The follower is done with blocks of so many bytes; what it is behind with is bounded by it. */
  taken(byteCount: number): void;
}
