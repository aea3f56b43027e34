/**
 * The program's telemetry: one `emit` writes the log line and adds to the counter of an internal event.
 */
import { INTERNAL_EVENTS, type Telemetry, type TelemetryFields } from './telemetry.ts';
import { createEventLogger, type LoggerOptions } from './telemetry-logger.ts';
import { createMetrics, type GaugeReader } from './telemetry-metrics.ts';

export interface ServiceTelemetry extends Telemetry {
  /** A value read whenever /metrics is asked for. */
  gauge(name: string, help: string, read: GaugeReader): void;
  /** Text of /metrics. */
  render(): Promise<string>;
  readonly contentType: string;
  /** Writes what was held back of repeated lines. */
  flush(): void;
}

export function createServiceTelemetry(options: LoggerOptions): ServiceTelemetry {
  const logger = createEventLogger(options);
  const metrics = createMetrics();
  return {
    emit(event, fields: TelemetryFields = {}, amount = 1) {
      try {
        metrics.count(event, fields, amount);
        const { level, text } = INTERNAL_EVENTS[event];
        logger.log(level, event, { text, fields: amount === 1 ? fields : { ...fields, count: amount } });
      } catch {
        // Reporting must never stop what is reported.
      }
    },
    gauge: (name, help, read) => metrics.gauge(name, help, read),
    render: () => metrics.render(),
    contentType: metrics.contentType,
    flush: () => logger.flush(),
  };
}
