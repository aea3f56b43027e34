/**
 * The store for commands that work on a data directory or an external ClickHouse and then end.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../config.ts';
import { MillraceError, quoteValue } from '../errors.ts';
import { type OpenedStore, type OpenStoreOptions, openRunning } from '../store/open-store.ts';
import type { Telemetry } from '../telemetry.ts';
import { addSettingFlags, loadCommandConfig } from './setting-flags.ts';

/** Until retention can be set: days that a row is kept, from its arrival on. */
export const DEFAULT_RETENTION_DAYS = 30;

/** What every command on a store takes. */
export function addStoreOptions(command: Command): Command {
  return addSettingFlags(command.option('--json', 'print JSON'), ['general', 'clickhouse']);
}

export function wantsJson(command: Command): boolean {
  return command.getOptionValue('json') === true;
}

/** Settings of a command on a store. A mistyped directory must not become a new database that nobody reads. */
export function loadStoreConfig(command: Command): Config {
  const config = loadCommandConfig(command);
  if (config.clickhouseUrl === undefined && !existsSync(config.dataDir)) {
    throw new MillraceError(
      'usage',
      `There is no data directory ${quoteValue(config.dataDir)}; \`millrace up\` and \`millrace migrate\` make it.`,
    );
  }
  return config;
}

/** Whether there is a database that a command could open without making it. */
export function hasStore({ clickhouseUrl, dataDir }: Config): boolean {
  return clickhouseUrl !== undefined || existsSync(join(dataDir, 'clickhouse'));
}

export function storeOptions(config: Config, telemetry: Telemetry): OpenStoreOptions {
  return {
    dataDir: config.dataDir,
    telemetry,
    database: config.clickhouseDatabase,
    ...(config.clickhouseUrl === undefined ? {} : externalOptions(config, config.clickhouseUrl)),
  };
}

function externalOptions(config: Config, url: string): Pick<OpenStoreOptions, 'url' | 'user' | 'password'> {
  const password = config.clickhousePassword?.reveal();
  return { url, user: config.clickhouseUser, ...(password === undefined ? {} : { password }) };
}

/** Runs `work` on the store of the running program, or on one opened for it, and closes what was opened. */
export async function withStore<T>(
  config: Config,
  telemetry: Telemetry,
  work: (opened: OpenedStore) => Promise<T>,
): Promise<T> {
  const opened = await openRunning(storeOptions(config, telemetry));
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}
