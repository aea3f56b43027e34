/**
 * What keeps the program from being ready, as a set of reasons from a closed list.
 * Actors set and clear their own reason; `/readyz` shows all that stand.
 */
import type { Clock } from './ports.ts';

export type HealthReason =
  | 'starting'
  | 'stopping'
  | 'clickhouse_unavailable'
  | 'disk_low'
  | 'kafka_unavailable'
  | 'sources_exhausted'
  | 'commit_failed'
  | 'no_progress';

export interface HealthProblem {
  readonly reason: HealthReason;
  readonly detail: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

export class Health {
  readonly #clock: Clock;
  readonly #problems = new Map<string, HealthProblem>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get problems(): readonly HealthProblem[] {
    return [...this.#problems.values()];
  }

  /** `owner` tells apart several actors that may have the same reason at once. */
  set(reason: HealthReason, detail: string, owner = ''): void {
    const key = `${reason}/${owner}`;
    const since = this.#problems.get(key)?.since ?? this.#clock.now();
    this.#problems.set(key, { reason, detail, since });
  }

  clear(reason: HealthReason, owner = ''): void {
    this.#problems.delete(`${reason}/${owner}`);
  }

  has(reason: HealthReason): boolean {
    return this.problems.some((problem) => problem.reason === reason);
  }
}
