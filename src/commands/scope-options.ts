/** The scope of a user or key on the command line. */
import type { Command } from 'commander';
import { toScope } from '../api/auth/grants.ts';
import type { Scope } from '../api/scope.ts';

export interface ScopeOptions {
  readonly service?: string[];
  readonly host?: string[];
  readonly environment?: string[];
}

export function addScopeOptions(command: Command): Command {
  return command
    .option('--service <names...>', 'only logs of these services (all)')
    .option('--host <names...>', 'only logs of these hosts (all)')
    .option('--environment <names...>', 'only logs of these environments (all)');
}

export function readScope({ service, host, environment }: ScopeOptions): Scope {
  return toScope({ services: service, hosts: host, environments: environment });
}
