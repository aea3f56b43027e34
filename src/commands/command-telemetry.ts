/**
 * Telemetry of one process: for programs that serve, and, quieter, for commands that do one thing and end.
 */
import type { Config } from '../config.ts';
import { createServiceTelemetry, type ServiceTelemetry } from '../telemetry-service.ts';
import { hasColours } from './output.ts';

/** `isJson`: JSON lines on a terminal too. */
export function createProgramTelemetry(config: Config, isJson = false): ServiceTelemetry {
  return createServiceTelemetry({
    level: config.logLevel,
    isPretty: process.stderr.isTTY && !isJson,
    hasColours: hasColours(process.stderr),
  });
}

/**
 * A short command ends with its result or one sentence: what goes well and what is tried again on the way is shown
 * only to whoever asks for it with LOG_LEVEL.
 */
export function createCommandTelemetry(config: Config): ServiceTelemetry {
  return createServiceTelemetry({
    level: config.logLevel === 'info' ? 'error' : config.logLevel,
    isPretty: process.stderr.isTTY,
    hasColours: hasColours(process.stderr),
  });
}
