/** One run of one scenario: its verdict and what the report says about it. */
import { once } from 'node:events';
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
  /** Why this machine cannot run it: then nothing was run. */
  readonly skipped?: string;
  /** Under sabotage: whether the oracle noticed. */
  readonly isPassed: boolean;
  readonly findings: readonly string[];
  readonly recordCount: number;
  readonly durationMs: number;
  readonly faults: readonly Fault[];
  readonly figures: Readonly<Record<string, readonly number[]>>;
  readonly readiness: Readonly<Record<string, readonly ReadyState[]>>;
}

/** Rejects when the signal of the options comes. */
export async function runScenario(scenario: Scenario, options: ChaosOptions): Promise<ScenarioResult> {
  const startedAt = Date.now();
  const chaos = new Chaos(options);
  const skipped = (await scenario.obstacle?.()) ?? '';
  const failure = skipped === '' ? await runToEnd(scenario, chaos, options.signal) : undefined;
  const findings = chaos.findings.map(({ by, text }) => (by === 'scenario' ? `demand: ${text}` : text));
  if (failure !== undefined) findings.push(failure);
  else if (skipped === '' && chaos.recordCount === 0) findings.push('the oracle was shown no record');
  const isRight = options.sabotage === undefined ? findings.length === 0 : hasOracleNoticed(chaos);
  return {
    id: scenario.id,
    title: scenario.title,
    seed: options.seed,
    scale: options.scale,
    ...(options.sabotage !== undefined && { sabotage: options.sabotage }),
    ...(skipped !== '' && { skipped }),
    isPassed: skipped === '' && isRight,
    findings,
    recordCount: chaos.recordCount,
    durationMs: Date.now() - startedAt,
    faults: chaos.faults,
    figures: Object.fromEntries(chaos.figures),
    readiness: Object.fromEntries(chaos.members.map(({ name, timeline }) => [name, timeline])),
  };
}

/** Answers why it broke off, if it did; whatever it started has ended. */
async function runToEnd(
  scenario: Scenario,
  chaos: Chaos,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  try {
    signal?.throwIfAborted();
    const isCut = signal === undefined ? [] : [once(signal, 'abort')];
    await Promise.race([scenario.run(chaos), ...isCut]);
    return undefined;
  } catch (error) {
    return `the scenario broke off: ${errorMessage(error)}`;
  } finally {
    await chaos.close();
    signal?.throwIfAborted();
  }
}

/**
 * Without a safeguard, rows, letters, ledger or rollups are wrong although all was worked off: what is only late would
 * be missing with every safeguard.
 */
function hasOracleNoticed({ findings }: Chaos): boolean {
  return findings.some(({ by }) => by === 'data') && !findings.some(({ by }) => by === 'progress');
}
