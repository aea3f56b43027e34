/**
 * A log of the contract as a schema, with an example.
 */
import { type Static, Type } from 'typebox';
import { Count, EXAMPLE_TIME, Timestamp } from '../openapi/schemas.ts';

/** A number where a double holds it exactly, else its digits. */
const Large = Type.Union([Type.Integer(), Type.String({ pattern: '^\\d+$' })]);
const Port = Type.Integer({ minimum: 1, maximum: 65_535 });
const Text = Type.String();

const properties = {
  id: Type.String({ description: 'Holds the time and the place of the log: the same wherever it is stored' }),
  timestamp: Timestamp,
  ingested_at: Timestamp,
  host: Type.Optional(Text),
  service: Type.Optional(Text),
  environment: Type.Optional(Text),
  level: Type.Optional(Text),
  severity_number: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 24, description: 'As in OpenTelemetry: 9 is INFO, 17 is ERROR' }),
  ),
  message: Type.Optional(Text),
  source: Type.Object({
    kind: Type.Optional(Text),
    topic: Type.Optional(Text),
    partition: Count(),
    offset: Count(),
  }),
  trace_id: Type.Optional(Text),
  span_id: Type.Optional(Text),
  correlation_id: Type.Optional(Text),
  source_ip: Type.Optional(Text),
  source_port: Type.Optional(Port),
  destination_ip: Type.Optional(Text),
  destination_port: Type.Optional(Port),
  user: Type.Optional(Text),
  process: Type.Optional(Text),
  pid: Type.Optional(Count()),
  outcome: Type.Optional(Text),
  http: Type.Optional(
    Type.Object({
      method: Type.Optional(Text),
      path: Type.Optional(Text),
      status: Type.Optional(Count()),
    }),
  ),
  geo: Type.Optional(Type.Object({ country: Type.Optional(Text), city: Type.Optional(Text) })),
  cpu_usage: Type.Optional(Type.Number({ description: 'Percent' })),
  memory_usage: Type.Optional(
    Type.Object({
      used: Type.Optional(Large),
      total: Type.Optional(Large),
      percentage: Type.Optional(Type.Number()),
    }),
  ),
  network: Type.Optional(Type.Object({ rx_bytes: Type.Optional(Large), tx_bytes: Type.Optional(Large) })),
  threats: Type.Optional(Type.Array(Type.Object({ name: Text, severity: Text, tags: Type.Array(Text) }))),
  template_id: Type.Optional(Large),
  metadata: Type.Optional(Type.Record(Text, Text)),
};

export const Log = Type.Object(properties, {
  $id: 'Log',
  description: 'A stored log. Fields that are absent are left out.',
});

export const EXAMPLE_LOG: Static<typeof Log> = {
  id: '019c1403-2c00-7000-8000-010000000007',
  timestamp: EXAMPLE_TIME,
  ingested_at: '2026-01-31T12:00:00.250000Z',
  host: 'web-1',
  service: 'sshd',
  level: 'WARN',
  severity_number: 13,
  message: 'Failed password for root from 203.0.113.9 port 22 ssh2',
  source: { kind: 'kafka', topic: 'logs', partition: 0, offset: 7 },
  source_ip: '203.0.113.9',
  source_port: 22,
  user: 'root',
  outcome: 'failure',
  metadata: { method: 'password' },
};
