/**
 * Prometheus metrics through prom-client: a counter for each internal event that names one,
 * gauges that are read when they are asked for, and the usual ones of the process.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { INTERNAL_EVENTS, type InternalEventName, type TelemetryFields } from './telemetry.ts';

interface GaugeSample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** One value, or one per combination of labels. */
export type GaugeReader = () => number | readonly GaugeSample[];

export interface Metrics {
  count(event: InternalEventName, fields: TelemetryFields, amount: number): void;
  /** Registers `name`; registering it again replaces the reader. */
  gauge(name: string, help: string, read: GaugeReader): void;
  /** Text of /metrics. */
  render(): Promise<string>;
  readonly contentType: string;
}

interface CountedEvent {
  readonly text: string;
  readonly counter?: string;
  readonly labels?: readonly string[];
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const counters = createCounters(registry);
  const gauges = new Map<string, { help: string; read: GaugeReader }>();
  return {
    count(event, fields, amount) {
      const counter = counters.get(event);
      if (counter === undefined || !(amount >= 0)) return;
      counter.inc(pickLabels((INTERNAL_EVENTS[event] as CountedEvent).labels ?? [], fields), amount);
    },
    gauge(name, help, read) {
      gauges.set(name, { help, read });
    },
    render() {
      for (const [name, { help, read }] of gauges) setGauge(registry, { name, help }, read);
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}

function createCounters(registry: Registry): Map<InternalEventName, Counter> {
  const counters = new Map<InternalEventName, Counter>();
  const byName = new Map<string, Counter>();
  for (const [event, definition] of Object.entries(INTERNAL_EVENTS) as [InternalEventName, CountedEvent][]) {
    const { counter: name, labels, text } = definition;
    if (name === undefined) continue;
    const known = byName.get(name);
    const counter =
      known ?? new Counter({ name, help: text, labelNames: [...(labels ?? [])], registers: [registry] });
    // A counter without labels is there from the start, so that its first increase shows as one.
    if (known === undefined && (labels ?? []).length === 0) counter.inc(0);
    byName.set(name, counter);
    counters.set(event, counter);
  }
  return counters;
}

function pickLabels(names: readonly string[], fields: TelemetryFields): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, String(fields[name] ?? '')]));
}

/** Takes the gauge anew, since its labels are only known from what is read; one that fails is left out. */
function setGauge(
  registry: Registry,
  identity: { readonly name: string; readonly help: string },
  read: GaugeReader,
): void {
  registry.removeSingleMetric(identity.name);
  try {
    const value = read();
    const samples = typeof value === 'number' ? [{ labels: {}, value }] : value;
    const labelNames = new Set(samples.flatMap((sample) => Object.keys(sample.labels)));
    const gauge = new Gauge({ ...identity, labelNames: [...labelNames], registers: [registry] });
    for (const sample of samples) gauge.set(sample.labels, sample.value);
  } catch {
    registry.removeSingleMetric(identity.name);
  }
}
