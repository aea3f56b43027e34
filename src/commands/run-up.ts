/**
 * The body of `millrace up`: starts everything, says where it is, and drains on the first signal.
 */
import { createUsers } from '../api/auth/users.ts';
import type { Config } from '../config.ts';
import type { ServiceTelemetry } from '../telemetry-service.ts';
import { bold, writeLine } from './output.ts';
import { runUntilStopped } from './run-until-stopped.ts';
import { Service } from './service.ts';
import { upBanner } from './up-banner.ts';

export async function runUp(config: Config, telemetry: ServiceTelemetry): Promise<void> {
  const { httpHost } = config;
  const service = new Service(config, telemetry, 'up');
  await runUntilStopped(service, config, async () => {
    const port = await service.start();
    // Last of all, so that a password that was made up is shown in any case.
    const newPassword = await createUsers(service.store.store).ensureAdmin(config.adminPassword?.reveal());
    const scheme = config.tlsCert === undefined ? 'http' : 'https';
    const url = `${scheme}://${httpHost.includes(':') ? `[${httpHost}]` : httpHost}:${port}`;
    writeLine(
      upBanner({
        url,
        dataDir: config.dataDir,
        clickhouseUrl: config.clickhouseUrl,
        kafkaBrokers: config.kafkaBrokers,
        kafkaTopics: config.kafkaTopics,
        newPassword,
        emphasize: (text) => bold(text, process.stdout),
      }),
    );
    await service.store.announceApi(url);
  });
}
