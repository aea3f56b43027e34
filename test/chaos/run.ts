/**
 * `npm run chaos`: the long forms, each with at least three seeds, then once without each of its safeguards, where
 * the oracle must notice. Writes docs/chaos-report.md and bench/results/chaos.json; 1 when anything failed.
 */
import { parseArgs } from 'node:util';
import type { Sabotage } from '../../src/failpoints.ts';
import { startBroker } from '../support/kafka-broker.ts';
import { writeReport } from './report.ts';
import { runScenario, type ScenarioResult } from './run-scenario.ts';
import type { Scale, Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';

const HELP = `npm run chaos -- [--only F1,F5] [--seeds 3] [--seed N] [--short] [--no-sabotage] [--sabotage-only] [--no-report]
  --seed N   the first seed (default: of the clock); the others follow it`;

interface Plan {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly scale: Scale;
  readonly sabotage?: Sabotage;
}

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string' },
    seeds: { type: 'string', default: '3' },
    seed: { type: 'string' },
    short: { type: 'boolean', default: false },
    'no-sabotage': { type: 'boolean', default: false },
    'sabotage-only': { type: 'boolean', default: false },
    'no-report': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function plan(): Plan[] {
  const ids = flags.only?.toUpperCase().split(',');
  const unknown = ids?.filter((id) => !SCENARIOS.some((scenario) => scenario.id === id)) ?? [];
  if (unknown.length > 0) throw new Error(`There is no scenario ${unknown.join(', ')}.`);
  const chosen = SCENARIOS.filter(({ id }) => ids?.includes(id) ?? true);
  const firstSeed = Number(flags.seed ?? (Date.now() % 1_000_000) + 1);
  const scale = flags.short ? 'short' : 'long';
  const seeds = Array.from({ length: Number(flags.seeds) }, (_, index) => firstSeed + index);
  const plain = chosen.flatMap((scenario) => seeds.map((seed) => ({ scenario, seed, scale }) as const));
  const sabotaged = chosen.flatMap((scenario) =>
    (scenario.sabotages ?? []).map(
      (sabotage) => ({ scenario, seed: firstSeed, scale: 'short', sabotage }) as const,
    ),
  );
  return [...(flags['sabotage-only'] ? [] : plain), ...(flags['no-sabotage'] ? [] : sabotaged)];
}

function tell(result: ScenarioResult): void {
  const { id, seed, sabotage, isPassed, recordCount, durationMs, findings } = result;
  const what = sabotage === undefined ? `${id} seed ${seed}` : `${id} seed ${seed} sabotage ${sabotage}`;
  console.log(
    `${isPassed ? 'passed' : 'FAILED'}  ${what}: ${recordCount} records, ${Math.round(durationMs / 1000)} s`,
  );
  for (const finding of findings) console.log(`          ${finding}`);
}

async function main(): Promise<void> {
  if (flags.help) {
    console.log(HELP);
    return;
  }
  const plans = plan();
  const broker = await startBroker();
  const results: ScenarioResult[] = [];
  let skippedCount = 0;
  try {
    for (const [index, { scenario, ...options }] of plans.entries()) {
      const title =
        options.sabotage === undefined ? scenario.title : `without safeguard: ${options.sabotage}`;
      console.log(
        `${index + 1}/${plans.length}  ${scenario.id} ${title} (seed ${options.seed}, ${options.scale})`,
      );
      const obstacle = (await scenario.obstacle?.()) ?? '';
      if (obstacle !== '') {
        console.log(`skipped ${scenario.id}: ${obstacle}`);
        skippedCount += 1;
        continue;
      }
      const onProgress = (text: string): void => console.log(`          · ${text}`);
      const result = await runScenario(scenario, { ...options, brokers: [broker.brokers], onProgress });
      results.push(result);
      tell(result);
    }
  } finally {
    await broker.stop();
  }
  if (!flags['no-report']) writeReport(results);
  const failedCount = results.filter(({ isPassed }) => !isPassed).length;
  console.log(`${results.length - failedCount} of ${results.length} passed, ${skippedCount} skipped`);
  process.exitCode = failedCount === 0 && results.length > 0 ? 0 : 1;
}

await main();
// A client library's retry that outlives its client must not outlive the run.
process.exit();
