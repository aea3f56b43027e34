/**
 * `millrace migrate`: brings the database up to this version's schema.
 */
import type { Command } from 'commander';
import { migrate } from '../store/migrations.ts';
import type { Telemetry } from '../telemetry.ts';
import { withStore } from './command-store.ts';
import { createCommandTelemetry } from './command-telemetry.ts';
import { writeResult } from './output.ts';
import { addSettingFlags, loadCommandConfig } from './setting-flags.ts';

export function registerMigrate(program: Command): void {
  const command = program
    .command('migrate')
    .description('apply the schema changes that the database lacks')
    .option('--json', 'print JSON')
    .action(async () => {
      const config = loadCommandConfig(command);
      const applied: string[] = [];
      const inner = createCommandTelemetry(config);
      // Opening a store migrates it: what was applied is heard on the way.
      const telemetry: Telemetry = {
        emit(event, fields, amount) {
          if (event === 'migration_applied') {
            applied.push(`${String(fields?.['number']).padStart(3, '0')}-${String(fields?.['name'])}`);
          }
          inner.emit(event, fields, amount);
        },
      };
      await withStore(config, telemetry, async ({ store }) => {
        await migrate(store, { telemetry });
      });
      writeResult(command.getOptionValue('json') === true, { applied }, () =>
        applied.length === 0 ? 'The schema is up to date.' : `Applied ${applied.join(', ')}.`,
      );
    });
  addSettingFlags(command, ['general', 'clickhouse']);
}
