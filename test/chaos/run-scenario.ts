/** One run of one scenario: its verdict and what the report says about it. */
import { errorMessage } from '../../src/errors.ts';
import type { Sabotage } from '../../src/failpoints.ts';
import { Chaos, type ChaosOptions, type Fault } from './chaos.ts';
import type { ReadyState } from './member.ts';
import type { Scale, Scenario } from './scenario.ts';

export interface ScenarioResult {
  readonly id: string;
  readonly title: string;
  readonly seed: number;
  readonly scale: Scale;
  readonly sabotage?: Sabotage;
  /** Under sabotage: whether the oracle noticed. */
  readonly isPassed: boolean;
  readonly findings: readonly string[];
  readonly recordCount: number;
  readonly durationMs: number;
  readonly faults: readonly Fault[];
  readonly figures: Readonly<Record<string, readonly number[]>>;
  readonly readiness: Readonly<Record<string, readonly ReadyState[]>>;
}

export async function runScenario(scenario: Scenario, options: ChaosOptions): Promise<ScenarioResult> {
  const startedAt = Date.now();
  const chaos = new Chaos(options);
  let failure: string | undefined;
  try {
    await scenario.run(chaos);
  } catch (error) {
    failure = `the scenario broke off: ${errorMessage(error)}`;
  } finally {
    await chaos.close();
  }
  const found = chaos.findings.map(({ by, text }) => (by === 'oracle' ? text : `demand: ${text}`));
  const findings = failure === undefined ? found : [...found, failure];
  const hasOracleNoticed = chaos.findings.some(({ by }) => by === 'oracle');
  return {
    id: scenario.id,
    title: scenario.title,
    seed: options.seed,
    scale: options.scale,
    ...(options.sabotage !== undefined && { sabotage: options.sabotage }),
    isPassed: options.sabotage === undefined ? findings.length === 0 : hasOracleNoticed,
    findings,
    recordCount: chaos.recordCount,
    durationMs: Date.now() - startedAt,
    faults: chaos.faults,
    figures: Object.fromEntries(chaos.figures),
    readiness: Object.fromEntries(chaos.members.map(({ name, timeline }) => [name, timeline])),
  };
}
