/**
 * `millrace up`: everything in one process. What it is made of is put together in run-up.ts.
 */
import type { Command } from 'commander';
import { createProgramTelemetry } from './command-telemetry.ts';
import { addSettingFlags, loadCommandConfig } from './setting-flags.ts';

export function registerUp(program: Command): void {
  const command = program
    .command('up')
    .description('run everything in one process: pipeline, API and, unless a URL is given, ClickHouse')
    .option('--json', 'log and report errors as JSON')
    .action(async () => {
      const config = loadCommandConfig(command);
      const { runUp } = await import('./run-up.ts');
      await runUp(config, createProgramTelemetry(config, command.getOptionValue('json') === true));
    });
  addSettingFlags(command, ['general', 'http', 'kafka', 'clickhouse', 'pipeline', 'collect', 'detect']);
}
