/**
 * What the program says of itself, as snapshots that cross a thread. The main thread makes them on request.
 */
import type { HealthProblem } from './health.ts';

export interface Readiness {
  /** Empty: ready. */
  readonly problems: readonly HealthProblem[];
}

/** One source and partition since the start of the program (law 1). */
export interface LedgerLine {
  readonly source: string;
  readonly partition: number;
  readonly fromOffset: number;
  /** Exclusive. */
  readonly toOffset: number;
  readonly receivedCount: number;
  readonly storedCount: number;
  readonly alreadyPresentCount: number;
  readonly filtered: Readonly<Record<string, number>>;
  readonly deadLettered: Readonly<Record<string, number>>;
  readonly inFlightCount: number;
}

export interface StatusSnapshots {
  readonly readiness: Readiness;
  readonly ledger: readonly LedgerLine[];
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
