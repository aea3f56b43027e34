/**
 * What the program says of itself, as snapshots that cross a thread. The main thread makes them on request.
 */
import type { HealthProblem } from './health.ts';

export interface Readiness {
  /** Empty: ready. */
  readonly problems: readonly HealthProblem[];
}

/** How far one lane is. What lies between its offsets is in flight. */
export interface LaneProgress {
  /** Number from the `sources` table. */
  readonly source: number;
  readonly partition: number;
  readonly name: string;
  /** Next offset that the source is to hand in. */
  readonly takenOffset: number;
  /** Everything below has a row in the ledger. */
  readonly committedOffset: number;
}

export interface StatusSnapshots {
  readonly readiness: Readiness;
  readonly lanes: readonly LaneProgress[];
  /** Figures by name, nested as the main thread likes: `millrace status` prints them. */
  readonly status: Readonly<Record<string, unknown>>;
  /** Prometheus text exposition. */
  readonly metrics: { readonly contentType: string; readonly text: string };
}

export type SnapshotKind = keyof StatusSnapshots;

export interface StatusPort {
  /** Rejects with `thread_died` or `deadline_exceeded` when nobody answers. */
  snapshot<K extends SnapshotKind>(kind: K): Promise<StatusSnapshots[K]>;
}
