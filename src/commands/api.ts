/**
 * `millrace api`: the REST API without a pipeline, beside programs that store. What it is made of is put together in
 * run-api.ts.
 */
import type { Command } from 'commander';
import { MillraceError } from '../errors.ts';
import { createProgramTelemetry } from './command-telemetry.ts';
import { addSettingFlags, loadCommandConfig } from './setting-flags.ts';

/** Settings of what it does not have: ingestion, and probes on a port of their own. */
const UNUSED = ['ADMIN_PORT', 'RATE_INGEST_MB', 'CLICKHOUSE_FSYNC', 'MIN_FREE_DISK_MB', 'DRAIN_TIMEOUT_MS'];

export function registerApi(program: Command): void {
  const command = program
    .command('api')
    .description('answer the REST API from an external ClickHouse, and take no logs')
    .option('--json', 'log and report errors as JSON')
    .action(async () => {
      const config = loadCommandConfig(command);
      if (config.clickhouseUrl === undefined) {
        throw new MillraceError(
          'usage',
          '`api` needs CLICKHOUSE_URL: `up` has the API and its own ClickHouse.',
        );
      }
      const { runApi } = await import('./run-api.ts');
      await runApi(config, createProgramTelemetry(config, command.getOptionValue('json') === true));
    });
  addSettingFlags(command, ['general', 'http', 'clickhouse'], UNUSED);
}
