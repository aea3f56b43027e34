/**
 * The body of `millrace process`: Kafka → ClickHouse, with probes and metrics on ADMIN_PORT.
 */
import type { Config } from '../config.ts';
import type { ServiceTelemetry } from '../telemetry-service.ts';
import { runUntilStopped } from './run-until-stopped.ts';
import { Service } from './service.ts';

export async function runProcess(config: Config, telemetry: ServiceTelemetry): Promise<void> {
  const service = new Service(config, telemetry, 'process');
  await runUntilStopped(service, config, async () => {
    await service.start();
  });
}
