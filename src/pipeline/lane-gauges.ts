/**
 * What `/metrics` says of each lane: how far it is behind its source, and how much of it is under way.
 */
import type { Coordinator } from './coordinator.ts';
import type { Lane } from './lane.ts';

interface LaneSample {
  readonly labels: { readonly source: string; readonly partition: number };
  readonly value: number;
}

/** Registers a value that is read whenever the metrics are asked for. */
type RegisterGauge = (name: string, help: string, read: () => readonly LaneSample[]) => void;

export function registerLaneGauges(register: RegisterGauge, coordinator: Coordinator): void {
  const sample = (valueOf: (lane: Lane) => number) => (): LaneSample[] =>
    [...coordinator.lanes].map((lane) => {
      const { name: source, partition } = lane.spec;
      return { labels: { source, partition }, value: valueOf(lane) };
    });
  register(
    'millrace_lane_lag_offsets',
    'offsets of the source that are not stored yet',
    sample((lane) => Math.max(0, lane.highWatermark - lane.storedOffset)),
  );
  register(
    'millrace_lane_in_flight_offsets',
    'offsets taken from the source that have no ledger row yet',
    sample((lane) => lane.takenOffset - lane.committedOffset),
  );
}
