/**
 * `npm run chaos`: the long forms, each with at least three seeds, then once without each of its safeguards, where
 * the oracle must notice. A run of all of it writes docs/chaos-report.md and bench/results/chaos.json; 1 when anything
 * failed or was skipped.
 */
import { parseArgs } from 'node:util';
import type { Sabotage } from '../../src/failpoints.ts';
import { startBroker } from '../support/kafka-broker.ts';
import {
  appendResult,
  isWhole,
  MIN_SEEDS,
  readResults,
  splitRepeated,
  writeMarkdown,
  writeReport,
} from './report.ts';
import { runScenario, type ScenarioResult } from './run-scenario.ts';
import type { Scale, Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';

const HELP = `npm run chaos -- [--only F1,F5] [--seeds ${MIN_SEEDS}] [--seed N] [--short] [--no-sabotage] [--sabotage-only]
                 [--allow-skips] [--results FILE] [--report FILE]
npm run chaos -- --render FILE [--report FILE] [FILE…]
  --seed N        the first seed (default: of the clock); the others follow it
  --allow-skips   a scenario that this machine cannot run does not make the run fail
  --results FILE  each result is added to this file as soon as it is there; processes of several seeds have one each
  --report FILE   the report, whatever was run; without it only all scenarios, in the long form and with ${MIN_SEEDS} seeds,
                  write docs/chaos-report.md and bench/results/chaos.json
  --render FILE   runs nothing: the report of such files of results`;
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

interface Plan {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly scale: Scale;
  readonly sabotage?: Sabotage;
}

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    seeds: { type: 'string', default: String(MIN_SEEDS) },
    seed: { type: 'string' },
    short: { type: 'boolean', default: false },
    'no-sabotage': { type: 'boolean', default: false },
    'sabotage-only': { type: 'boolean', default: false },
    'allow-skips': { type: 'boolean', default: false },
    results: { type: 'string' },
    report: { type: 'string' },
    render: { type: 'string' },
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
  const { id, seed, sabotage, isPassed, skipped, recordCount, durationMs, findings } = result;
  const what = sabotage === undefined ? `${id} seed ${seed}` : `${id} seed ${seed} sabotage ${sabotage}`;
  if (skipped !== undefined) {
    console.log(`skipped ${what}: ${skipped}`);
    return;
  }
  console.log(
    `${isPassed ? 'passed' : 'FAILED'}  ${what}: ${recordCount} records, ${Math.round(durationMs / 1000)} s`,
  );
  for (const finding of findings) console.log(`          ${finding}`);
}

async function runAll(signal: AbortSignal): Promise<ScenarioResult[]> {
  const plans = plan();
  const broker = await startBroker();
  const results: ScenarioResult[] = [];
  try {
    for (const [index, { scenario, ...options }] of plans.entries()) {
      const title =
        options.sabotage === undefined ? scenario.title : `without safeguard: ${options.sabotage}`;
      console.log(
        `${index + 1}/${plans.length}  ${scenario.id} ${title} (seed ${options.seed}, ${options.scale})`,
      );
      const onProgress = (text: string): void => console.log(`          · ${text}`);
      const result = await runScenario(scenario, {
        ...options,
        brokers: [broker.brokers],
        onProgress,
        signal,
      });
      results.push(result);
      tell(result);
      if (flags.results !== undefined) appendResult(flags.results, result);
    }
  } finally {
    await broker.stop();
  }
  return results;
}

/** On the first SIGINT or SIGTERM what runs is ended in order, and then we; on a second one at once. */
function abortOnSignals(): AbortSignal {
  const abort = new AbortController();
  for (const [name, code] of Object.entries(EXIT_CODES)) {
    process.on(name, () => {
      // The end of the process takes with it what is left of its children.
      if (abort.signal.aborted) process.exit(code);
      console.log(`${name}: ending what runs`);
      process.exitCode = code;
      abort.abort();
    });
  }
  return abort.signal;
}

function finish(results: readonly ScenarioResult[]): void {
  if (flags.report !== undefined) writeMarkdown(flags.report, results);
  else if (isWhole(results)) writeReport(results);
  else console.log('No report: not all scenarios were run (--report FILE writes one)');
  const { last, earlier } = splitRepeated(results);
  const skippedCount = last.filter(({ skipped }) => skipped !== undefined).length;
  const passedCount = last.filter(({ isPassed }) => isPassed).length;
  const failedCount = last.length - passedCount - skippedCount;
  if (earlier.length > 0) console.log(`${earlier.length} earlier results of runs that were repeated`);
  console.log(`${passedCount} passed, ${failedCount} failed, ${skippedCount} skipped`);
  const areSkipsRight = flags['allow-skips'] || skippedCount === 0;
  process.exitCode = failedCount === 0 && areSkipsRight && passedCount > 0 ? 0 : 1;
}

async function main(): Promise<void> {
  if (flags.help) {
    console.log(HELP);
    return;
  }
  if (flags.render !== undefined) return finish(readResults([flags.render, ...positionals]));
  if (positionals.length > 0) throw new Error(`What is ${positionals.join(' ')}? See --help.`);
  const signal = abortOnSignals();
  const results = await runAll(signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
    return undefined;
  });
  if (results !== undefined) finish(results);
}

await main();
// A client library's retry that outlives its client must not outlive the run.
process.exit();
