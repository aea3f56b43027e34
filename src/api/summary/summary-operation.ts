/**
 * What `/metrics/summary` takes and answers.
 */
import { Type } from 'typebox';
import { jsonAnswer, type Operation } from '../openapi/operation.ts';
import {
  AnyOf,
  Count,
  EXAMPLE_META,
  EXAMPLE_TIME,
  Nullable,
  QueryMeta,
  Timestamp,
} from '../openapi/schemas.ts';

const SummaryQuery = Type.Object({
  from: Type.String({
    default: 'now-1h',
    description: 'Start, inclusive, widened to a whole minute or hour',
  }),
  to: Type.String({ default: 'now', description: 'End, exclusive, widened likewise' }),
  interval: Type.Optional(
    Type.String({ description: 'Whole minutes, such as `60`, `5m` or `1h`; by itself at most 300 points' }),
  ),
  host: AnyOf('Host it was written on'),
  service: AnyOf('Service that wrote it'),
  environment: AnyOf('Such as `prod`'),
});

const Value = Nullable(Type.Number());

const Metric = Type.Object(
  {
    unit: Type.Enum(['percent', 'bytes', 'bytes_per_second']),
    avg: Value,
    min: Value,
    max: Value,
    p50: Value,
    p95: Value,
    p99: Value,
    samples: Count(),
    trend: Type.Object({
      slope_per_hour: Value,
      previous_avg: Nullable(Type.Number({ description: 'Of the period of the same length before' })),
      change_percent: Value,
      direction: Type.Enum(['up', 'down', 'flat']),
    }),
  },
  { $id: 'MetricSummary' },
);

const Point = Type.Object({ avg: Value, min: Value, max: Value, samples: Count() }, { $id: 'MetricPoint' });
const HostLoad = Type.Object({ avg: Value, max: Value });

const Summary = Type.Object(
  {
    from: Timestamp,
    to: Timestamp,
    interval_seconds: Type.Integer({ minimum: 60 }),
    metrics: Type.Object({
      cpu_usage: Metric,
      memory_usage: Metric,
      memory_used: Metric,
      network_rx: Metric,
      network_tx: Metric,
    }),
    events: Type.Object({
      total: Count(),
      by_level: Type.Record(Type.String(), Count()),
      by_service: Type.Array(Type.Object({ service: Type.String(), count: Count() })),
    }),
    series: Type.Array(
      Type.Object({
        time: Timestamp,
        events: Count(),
        cpu_usage: Point,
        memory_usage: Point,
        memory_used: Point,
        network_rx: Point,
        network_tx: Point,
      }),
      { description: 'Every interval, empty ones too' },
    ),
    top_hosts: Type.Array(
      Type.Object({ host: Type.String(), events: Count(), cpu_usage: HostLoad, memory_usage: HostLoad }),
    ),
    meta: QueryMeta,
  },
  { $id: 'MetricsSummary' },
);

const trend = { slope_per_hour: 1.5, previous_avg: 40, change_percent: 5, direction: 'up' };
const metric = {
  unit: 'percent',
  avg: 42,
  min: 3.5,
  max: 97,
  p50: 40,
  p95: 88,
  p99: 96,
  samples: 720,
  trend,
};
const point = { avg: 42, min: 3.5, max: 97, samples: 12 };
const EXAMPLE = {
  from: EXAMPLE_TIME,
  to: '2026-01-31T13:00:00.000000Z',
  interval_seconds: 3600,
  metrics: {
    cpu_usage: metric,
    memory_usage: metric,
    memory_used: { ...metric, unit: 'bytes' },
    network_rx: { ...metric, unit: 'bytes_per_second' },
    network_tx: { ...metric, unit: 'bytes_per_second' },
  },
  events: { total: 12, by_level: { INFO: 10, ERROR: 2 }, by_service: [{ service: 'shop', count: 12 }] },
  series: [
    {
      time: EXAMPLE_TIME,
      events: 12,
      cpu_usage: point,
      memory_usage: point,
      memory_used: point,
      network_rx: point,
      network_tx: point,
    },
  ],
  top_hosts: [
    { host: 'web-1', events: 12, cpu_usage: { avg: 42, max: 97 }, memory_usage: { avg: 50, max: 61 } },
  ],
  meta: EXAMPLE_META,
};

export const GET_SUMMARY: Operation = {
  id: 'getMetricsSummary',
  summary: 'Host metrics and counts of logs over a range, with their trend',
  tag: 'metrics',
  query: SummaryQuery,
  answers: { 200: jsonAnswer('The summary', Summary, EXAMPLE) },
  problems: ['unprocessable'],
};
