/**
 * `millrace replay`: processes a stretch of a Kafka topic again, after it has printed what that will do.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type Command, Option } from 'commander';
import { MillraceError } from '../errors.ts';
import { armFailpoints } from '../failpoints.ts';
import type { ReplayTally } from '../replay/run.ts';
import { loadStoreConfig, withStore } from './command-store.ts';
import { createCommandTelemetry } from './command-telemetry.ts';
import { EXIT_FAILED, writeLine, writeNote, writeResult } from './output.ts';
import { type ReplayOptions, readReplayOptions, replayFlags } from './replay-options.ts';
import { makePlan, viewTopic } from './replay-plan.ts';
import { planJson, planText, type ReplayPlan, tallyJson, tallyText } from './replay-report.ts';
import { addSettingAlias, addSettingFlags } from './setting-flags.ts';

export function registerReplay(program: Command): void {
  const command = program
    .command('replay')
    .description('process a stretch of a Kafka topic again; prints the plan first')
    .action(() => replayCommand(command));
  for (const option of replayFlags()) command.addOption(option);
  addSettingFlags(command, ['general', 'kafka', 'clickhouse']);
  addSettingAlias(command, 'KAFKA_BROKERS', new Option('--brokers <a,b,…>', 'the same as --kafka-brokers'));
}

async function replayCommand(command: Command): Promise<void> {
  const options = readReplayOptions(command.opts<Record<string, unknown>>(), Date.now());
  const { mode } = options;
  if (mode === 'detect') {
    throw new MillraceError(
      'unprocessable',
      'There are no rules in this version, so --mode detect has nothing to evaluate. Nothing was read or changed.',
    );
  }
  const config = loadStoreConfig(command);
  armFailpoints(config.failpoints, { isProduction: process.env['NODE_ENV'] === 'production' });
  const telemetry = createCommandTelemetry(config);
  const view = await viewTopic(config, options, telemetry);
  await withStore(config, telemetry, async ({ store }) => {
    const planned = await makePlan(store, view, { ...options, mode });
    const { plan } = planned;
    if (!options.isJson) writeLine(planText(plan));
    if (options.isPlanOnly) {
      if (options.isJson) writeLine(JSON.stringify({ plan: planJson(plan) }));
      return;
    }
    if (!(await isConfirmed(options, plan))) {
      writeNote('Nothing was changed.');
      process.exitCode = EXIT_FAILED;
      return;
    }
    const { runReplay } = await import('./replay-run.ts');
    const tally: ReplayTally = await runReplay(
      { config, telemetry, store },
      { ...planned, view },
      options.isJson,
    );
    const result = { plan: planJson(plan), result: tallyJson(tally) };
    writeResult(options.isJson, result, () => tallyText(mode, tally));
  });
}

/** Throws `usage` where nobody can be asked. */
async function isConfirmed(options: ReplayOptions, plan: ReplayPlan): Promise<boolean> {
  if (options.isConfirmed) return true;
  if (!process.stdin.isTTY) {
    throw new MillraceError(
      'usage',
      'This is not a terminal, so nobody can be asked: add --yes to go on, or --plan.',
    );
  }
  if (options.isJson) writeNote(planText(plan));
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    prompt.setPrompt('Go on? [y/N] ');
    prompt.prompt();
    const [answer] = (await Promise.race([once(prompt, 'line'), once(prompt, 'close')])) as [string?];
    return /^y(es)?$/i.test((answer ?? '').trim());
  } finally {
    prompt.close();
  }
}
