/**
 * `millrace process`: Kafka → ClickHouse without the API, one of several members of a consumer group.
 * What it is made of is put together in run-process.ts.
 */
import type { Command } from 'commander';
import { MillraceError } from '../errors.ts';
import { createProgramTelemetry } from './command-telemetry.ts';
import { addSettingFlags, loadCommandConfig } from './setting-flags.ts';

/** Settings of the API and of HTTP ingestion, which `process` does not have. */
const UNUSED = ['HTTP_PORT', 'HTTP_SERVER', 'TLS_CERT', 'TLS_KEY', 'ADMIN_PASSWORD', 'MAX_BODY_BYTES'];

export function registerProcess(program: Command): void {
  const command = program
    .command('process')
    .description('read Kafka into an external ClickHouse, as one member of the consumer group')
    .option('--json', 'log and report errors as JSON')
    .action(async () => {
      const config = loadCommandConfig(command);
      if (config.kafkaBrokers.length === 0 || config.clickhouseUrl === undefined) {
        throw new MillraceError('usage', '`process` needs KAFKA_BROKERS and CLICKHOUSE_URL.');
      }
      const { runProcess } = await import('./run-process.ts');
      await runProcess(config, createProgramTelemetry(config, command.getOptionValue('json') === true));
    });
  addSettingFlags(command, ['general', 'http', 'kafka', 'clickhouse', 'pipeline', 'detect'], UNUSED);
}
