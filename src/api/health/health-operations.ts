/**
 * What probes, status and ledger answer.
 */
import { type Static, Type } from 'typebox';
import { jsonAnswer, type Operation } from '../openapi/operation.ts';
import { Count } from '../openapi/schemas.ts';

/** Load balancers and scrapers add parameters of their own. */
const ANY_QUERY = Type.Object({}, { additionalProperties: true });

const Live = Type.Object({ status: Type.Literal('ok') }, { $id: 'Live' });
const Ready = Type.Object({ status: Type.Literal('ready') }, { $id: 'Ready' });
const NotReady = Type.Object(
  {
    status: Type.Literal('not_ready'),
    reasons: Type.Array(
      Type.Object({
        reason: Type.String(),
        detail: Type.Optional(Type.String({ description: 'For this machine only' })),
        since: Type.String(),
      }),
    ),
  },
  { $id: 'NotReady' },
);

export const LIVEZ: Operation = {
  id: 'getLiveness',
  summary: 'Whether the API answers',
  tag: 'probes',
  query: ANY_QUERY,
  answers: { 200: jsonAnswer('It does', Live, { status: 'ok' }) },
};

export const READYZ: Operation = {
  id: 'getReadiness',
  summary: 'Whether the program can do its work',
  tag: 'probes',
  query: ANY_QUERY,
  answers: {
    200: jsonAnswer('It can', Ready, { status: 'ready' }),
    503: jsonAnswer('It cannot', NotReady, {
      status: 'not_ready',
      reasons: [{ reason: 'clickhouse_unavailable', since: '2026-01-31T12:00:00.000Z' }],
    }),
  },
};

export const METRICS: Operation = {
  id: 'getMetrics',
  summary: 'Metrics for Prometheus',
  description: 'With METRICS_TOKEN set it is required as a bearer token; else only this machine is answered.',
  tag: 'probes',
  query: ANY_QUERY,
  answers: {
    200: {
      description: 'Text exposition format',
      content: { 'text/plain': { schema: Type.String(), example: 'millrace_up 1\n' } },
    },
  },
  problems: ['unauthorized', 'forbidden', 'thread_died'],
};

const Status = Type.Object(
  {
    version: Type.String(),
    uptime_seconds: Count(),
    ready: Type.Boolean(),
    problems: Type.Array(
      Type.Object({
        reason: Type.String(),
        detail: Type.String(),
        since: Count('Milliseconds since 1970'),
      }),
    ),
    stored_per_second: Type.Number(),
    received: Count(),
    stored: Count(),
    dead_lettered: Count(),
    slow_path: Count('Records that the fast parser handed over'),
    buffers: Type.Object({ records_bytes: Count(), blocks_bytes: Count() }),
    memory: Type.Object({ resident_bytes: Count(), heap_bytes: Count() }),
    lanes: Type.Array(
      Type.Object({
        source: Type.String(),
        partition: Count(),
        committed_offset: Type.Integer(),
        stored_offset: Type.Integer(),
        lag: Count('Records that wait in the source'),
      }),
    ),
  },
  { $id: 'PipelineStatus' },
);

const EXAMPLE_STATUS: Static<typeof Status> = {
  version: '0.1.0',
  uptime_seconds: 3600,
  ready: true,
  problems: [],
  stored_per_second: 52_000,
  received: 187_200_000,
  stored: 187_199_999,
  dead_lettered: 1,
  slow_path: 12,
  buffers: { records_bytes: 1_048_576, blocks_bytes: 262_144 },
  memory: { resident_bytes: 419_430_400, heap_bytes: 83_886_080 },
  lanes: [{ source: 'logs', partition: 0, committed_offset: 100, stored_offset: 104, lag: 3 }],
};

export const GET_STATUS: Operation = {
  id: 'getPipelineStatus',
  summary: 'Rates, buffers and lanes since the start of the program',
  tag: 'pipeline',
  answers: { 200: jsonAnswer('Now', Status, EXAMPLE_STATUS) },
  problems: ['thread_died'],
};
