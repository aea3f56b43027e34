/**
 * Attacks that can be woven into produced data: who attacks what, and which kind of event shows it.
 */
import type { EventKind } from './draft.ts';
import type { Random } from './random.ts';

export const SCENARIOS = {
  'ssh-brute-force': { kind: 'security-events', help: 'one address tries many passwords on one host' },
  spray: { kind: 'security-events', help: 'one address tries few passwords for many users on every host' },
  'cpu-spike': { kind: 'system-metrics', help: 'one host stays above 90 % CPU' },
  'web-scan': { kind: 'logs', help: 'one address asks one host for paths that do not exist' },
} as const satisfies Record<string, { readonly kind: EventKind; readonly help: string }>;
export type Scenario = keyof typeof SCENARIOS;

export interface Attack {
  readonly scenario: Scenario;
  readonly sourceIp: string;
  /** Index of the host under attack. */
  readonly hostIndex: number;
}

/** Share of the events of its kind that belong to the attack. */
export const ATTACK_SHARE = 0.2;

export function createAttack(scenario: Scenario, hostCount: number, random: Random): Attack {
  return {
    scenario,
    sourceIp: `203.0.113.${random.between(1, 254)}`,
    hostIndex: random.below(hostCount),
  };
}
