/**
 * `millrace up`: everything in one process. What it is made of is put together in run-up.ts.
 */
import { type Command, Option } from 'commander';
import { MillraceError, quoteValue } from '../errors.ts';
import { createProgramTelemetry } from './command-telemetry.ts';
import { addSettingFlags, loadCommandConfig } from './setting-flags.ts';

const MIN_DEMO_EVENTS = 1000;
const MAX_DEMO_EVENTS = 10_000_000;

export function registerUp(program: Command): void {
  const command = program
    .command('up')
    .description('run everything in one process: pipeline, API and, unless a URL is given, ClickHouse')
    .option('--json', 'log and report errors as JSON')
    .option(
      '--demo',
      'begin with a day of made-up events, attacks among them, and go on with a few per second',
    )
    .addOption(new Option('--demo-events <number>', 'about how many events the day has').default('200000'))
    .action(async () => {
      const config = loadCommandConfig(command);
      const options = command.opts<Record<string, unknown>>();
      const isJson = options['json'] === true;
      const demoEvents = readDemoEvents(options);
      const { runUp } = await import('./run-up.ts');
      await runUp(config, createProgramTelemetry(config, isJson), { demoEvents, isJson });
    });
  addSettingFlags(command, ['general', 'http', 'kafka', 'clickhouse', 'pipeline', 'collect', 'detect']);
}

/** Undefined without `--demo`. */
function readDemoEvents(options: Readonly<Record<string, unknown>>): number | undefined {
  const text = String(options['demoEvents']);
  const events = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(events >= MIN_DEMO_EVENTS && events <= MAX_DEMO_EVENTS)) {
    throw new MillraceError(
      'usage',
      `--demo-events must be a whole number from ${MIN_DEMO_EVENTS} to ${MAX_DEMO_EVENTS}, not ${quoteValue(text)}.`,
    );
  }
  return options['demo'] === true ? events : undefined;
}
