/**
 * `millrace version`: the program's version and what it runs on.
 */
import type { Command } from 'commander';
import { readPackageVersion } from '../package-info.ts';
import { writeResult } from './output.ts';

export function registerVersion(program: Command): void {
  program
    .command('version')
    .description('print the version')
    .option('--json', 'print JSON')
    .action((options: { readonly json?: boolean }) => {
      const info = {
        version: readPackageVersion(),
        node: process.versions.node,
        platform: `${process.platform}-${process.arch}`,
      };
      writeResult(options.json === true, info, () => `millrace ${info.version}`);
    });
}
