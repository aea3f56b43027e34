/**
 * The store for commands that work on a data directory or an external ClickHouse and then end.
 */
import type { Config } from '../config.ts';
import { type OpenedStore, type OpenStoreOptions, openRunning } from '../store/open-store.ts';
import type { Telemetry } from '../telemetry.ts';

export function storeOptions(config: Config, telemetry: Telemetry): OpenStoreOptions {
  return {
    dataDir: config.dataDir,
    telemetry,
    database: config.clickhouseDatabase,
    isFsync: config.clickhouseFsync,
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
