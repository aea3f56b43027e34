/**
 * The body of `millrace up`: starts everything, says where it is, and drains on the first signal.
 */
import { createUsers } from '../api/auth/users.ts';
import type { Config } from '../config.ts';
import { MillraceError } from '../errors.ts';
import type { DemoDay } from '../produce/demo-day.ts';
import type { ServiceTelemetry } from '../telemetry-service.ts';
import { addressOf } from './api-address.ts';
import { readyBanner } from './banner.ts';
import { runLiveDemo, seedDemo } from './demo.ts';
import { bold, writeLine } from './output.ts';
import { runUntilStopped } from './run-until-stopped.ts';
import { Service } from './service.ts';
import { listenForStop } from './stop-signal.ts';

export interface UpOptions {
  /** About how many events a demo has; undefined: no demo. */
  readonly demoEvents: number | undefined;
  readonly isJson: boolean;
}

export async function runUp(config: Config, telemetry: ServiceTelemetry, options: UpOptions): Promise<void> {
  const isDemo = options.demoEvents !== undefined;
  if (isDemo && config.kafkaBrokers.length > 0) {
    throw new MillraceError(
      'usage',
      '--demo makes its own events and reads no Kafka: leave out --demo, or the setting KAFKA_BROKERS.',
    );
  }
  const service = new Service(config, telemetry, 'up');
  const { signal } = listenForStop();
  await runUntilStopped(service, config, async () => {
    const port = await service.start();
    const demo = await seed(service, config, options);
    if (isDemo && signal.aborted) return;
    // After the demo, so that a password that was made up is shown in any case.
    const newPassword = await createUsers(service.store.store).ensureAdmin(config.adminPassword?.reveal());
    const url = addressOf(config, port);
    writeLine(
      readyBanner({
        url,
        dataDir: config.dataDir,
        clickhouseUrl: config.clickhouseUrl,
        kafka: { brokers: config.kafkaBrokers, topics: config.kafkaTopics },
        newPassword,
        demo,
        emphasize: (text) => bold(text, process.stdout),
      }),
    );
    await service.store.announceApi(url);
    if (isDemo) void runLiveDemo(service.ingest, signal);
  });
}

/** A demo that cannot be leaves nothing running. */
async function seed(
  service: Service,
  { dataDir, drainTimeoutMs }: Config,
  { demoEvents: events, isJson: isSilent }: UpOptions,
): Promise<DemoDay | undefined> {
  if (events === undefined) return undefined;
  const { signal } = listenForStop();
  const { store } = service.store;
  try {
    return await seedDemo({ ingest: service.ingest, store, dataDir, events, signal, isSilent });
  } catch (error) {
    await service.stop(drainTimeoutMs);
    throw error;
  }
}
