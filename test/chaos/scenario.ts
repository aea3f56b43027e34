/** What a scenario of the chaos suite is. docs: test/chaos/README.md. */
import type { Sabotage } from '../../src/failpoints.ts';
import type { Chaos } from './chaos.ts';

/** `short`: a form for `npm test`, under 30 s; `long`: the full one, for `npm run chaos`. */
export type Scale = 'short' | 'long';

export interface Scenario {
  /** `F1` … `F20`. */
  readonly id: string;
  readonly title: string;
  /** Safeguards it depends on: without any one of them the oracle must find something. */
  readonly sabotages?: readonly Sabotage[];
  /** Why this machine cannot run it; empty: it can. */
  readonly obstacle?: () => Promise<string>;
  /** Brings about the faults and has the oracle look (`chaos.verify`). What it throws makes it fail, too. */
  run(chaos: Chaos): Promise<void>;
}
