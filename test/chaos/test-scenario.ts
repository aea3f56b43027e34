/** The short form of a scenario as a test of `npm test`. */
import { expect, test } from 'vitest';
import type { Sabotage } from '../../src/failpoints.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { skipHere } from '../support/skip-here.ts';
import { runScenario } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';

const TIMEOUT_MS = 180_000;

/** CHAOS_SEED repeats a run; without it each run has a seed of its own, in the name of the test. */
function chooseSeed(): number {
  const given = Number(process.env['CHAOS_SEED'] ?? '0');
  return given > 0 ? given : 1 + Math.floor(Math.random() * 999_999);
}

export function testScenario(scenario: Scenario): void {
  const seed = chooseSeed();
  test(`${scenario.id}: ${scenario.title} (seed ${seed})`, { timeout: TIMEOUT_MS }, async (context) => {
    const options = { seed, scale: 'short', brokers: kafkaBrokers() } as const;
    const { skipped, findings } = await runScenario(scenario, options);
    if (skipped !== undefined) skipHere(context, skipped);
    expect(findings).toEqual([]);
  });
}

/** The oracle must find something when a safeguard is left out. */
export function testSabotage(scenario: Scenario, sabotage: Sabotage): void {
  const seed = chooseSeed();
  test(`${scenario.id} without its safeguard: ${sabotage} (seed ${seed})`, {
    timeout: TIMEOUT_MS,
  }, async (context) => {
    const options = { seed, scale: 'short', brokers: kafkaBrokers(), sabotage } as const;
    const { skipped, isPassed, findings } = await runScenario(scenario, options);
    if (skipped !== undefined) skipHere(context, skipped);
    expect(isPassed, `the oracle did not notice; ${findings.join('; ')}`).toBe(true);
  });
}
