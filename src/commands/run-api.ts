/**
 * The body of `millrace api`: the REST API on an external ClickHouse, without a pipeline of its own.
 */
import { resolve } from 'node:path';
import { createUsers } from '../api/auth/users.ts';
import type { Config } from '../config.ts';
import { readPackageVersion } from '../package-info.ts';
import { ApiThread } from '../pipeline/api-thread.ts';
import { StoreStatus } from '../pipeline/store-status.ts';
import { systemClock } from '../pipeline/system-clock.ts';
import { readCursorSecret } from '../store/cursor-secret.ts';
import { makeDataDir } from '../store/embedded/make-data-dir.ts';
import { type OpenedStore, openStore } from '../store/open-store.ts';
import type { ServiceTelemetry } from '../telemetry-service.ts';
import { addressOf } from './api-address.ts';
import { apiSettings, HTTP_STOP_MS } from './api-settings.ts';
import { readyBanner } from './banner.ts';
import { storeOptions } from './command-store.ts';
import { findLetterKeys } from './letter-keys.ts';
import { bold, writeLine } from './output.ts';
import { runUntilStopped, type Stoppable } from './run-until-stopped.ts';

/** An answer that takes longer is none. */
const PING_MS = 5000;

export async function runApi(config: Config, telemetry: ServiceTelemetry): Promise<void> {
  const program = new ApiProgram(config, telemetry);
  await runUntilStopped(program, config, async () => {
    const { port, store } = await program.start();
    const newPassword = await createUsers(store).ensureAdmin(config.adminPassword?.reveal());
    const { dataDir, clickhouseUrl } = config;
    const emphasize = (text: string): string => bold(text, process.stdout);
    writeLine(readyBanner({ url: addressOf(config, port), dataDir, clickhouseUrl, newPassword, emphasize }));
  });
}

/** Modes: `start` → running → `stop`, which closes what was opened, last first. */
class ApiProgram implements Stoppable {
  readonly #config: Config;
  readonly #telemetry: ServiceTelemetry;
  #opened: OpenedStore | undefined;
  #status: StoreStatus | undefined;
  #api: ApiThread | undefined;
  #isStarted = false;

  constructor(config: Config, telemetry: ServiceTelemetry) {
    this.#config = config;
    this.#telemetry = telemetry;
  }

  /** Opens everything; what was opened is closed again when a part cannot be. */
  async start(): Promise<{ readonly port: number; readonly store: OpenedStore['store'] }> {
    try {
      const opened = await openStore(storeOptions(this.#config, this.#telemetry));
      this.#opened = opened;
      const { port } = await this.#listen(opened);
      this.#isStarted = true;
      this.#telemetry.emit('started', { version: readPackageVersion() });
      return { port, store: opened.store };
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** There is nothing to drain: requests under way may end. */
  async stop(): Promise<boolean> {
    if (this.#isStarted) this.#telemetry.emit('stopping', {});
    this.#status?.stop();
    await this.#api?.stop(HTTP_STOP_MS);
    await this.#opened?.close();
    if (this.#isStarted) this.#telemetry.emit('stopped', { isDrained: true });
    this.#telemetry.flush();
    return true;
  }

  async #listen(opened: OpenedStore): Promise<{ readonly port: number }> {
    const { store } = opened;
    const telemetry = this.#telemetry;
    // The keys that sign tokens go there. It seals no dead letter: without their key it shows them without a preview.
    await makeDataDir(resolve(this.#config.dataDir));
    const letterKeys = findLetterKeys(this.#config) ?? [];
    const cursorSecret = await readCursorSecret(store);
    const status = new StoreStatus({
      isStoreAnswering: () => isAnswering(store),
      clock: systemClock,
      version: readPackageVersion(),
      renderMetrics: async () => ({ contentType: telemetry.contentType, text: await telemetry.render() }),
    });
    status.start();
    this.#status = status;
    const settings = apiSettings(this.#config, { opened, letterKeys, cursorSecret });
    this.#api = new ApiThread(settings, { status, telemetry });
    return await this.#api.start();
  }
}

async function isAnswering(store: OpenedStore['store']): Promise<boolean> {
  const signal = AbortSignal.timeout(PING_MS);
  return await store.query('SELECT 1', {}, { signal }).then(
    () => true,
    () => false,
  );
}
