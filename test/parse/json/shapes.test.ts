/** The shapes and names that events come in (docs/decisions/001-event-shape.md). */
import { describe, expect, test } from 'vitest';
import { FIELDS, FieldKind, KNOWN_NAMES } from '../../../src/parse/json/fields.ts';
import { createGenerator } from '../../../src/produce/generator.ts';
import { JsonHarness, RECORD_TIME_US } from '../../support/json-event.ts';

const harness = new JsonHarness();
const TIME = '2024-05-01T11:59:59.123456Z';

/** The event of a record, and whether the slow path was needed. */
function parse(record: object) {
  const { event, isSlow } = harness.parse(JSON.stringify(record));
  return { event, isSlow };
}

describe('the four shapes take the fast path', () => {
  test('logs, with known names promoted out of metadata', () => {
    expect(
      parse({
        timestamp: TIME,
        level: 'warn',
        service: 'api',
        message: 'slow query',
        metadata: {
          host: 'db-1',
          environment: 'prod',
          trace_id: 'abc',
          seq: 12,
          region: 'eu',
          ok: true,
          none: null,
        },
      }),
    ).toEqual({
      isSlow: false,
      event: {
        timestamp: TIME,
        level: 'WARN',
        severity_number: 13,
        service: 'api',
        message: 'slow query',
        host: 'db-1',
        environment: 'prod',
        trace_id: 'abc',
        metadata: [
          ['ok', 'true'],
          ['region', 'eu'],
          ['seq', '12'],
        ],
      },
    });
  });

  test('system-metrics', () => {
    expect(
      parse({
        timestamp: TIME,
        host: 'db-1',
        cpu_usage: 12.5,
        memory_usage: { used: 4_294_967_297, total: 8_589_934_592, percentage: 50 },
        network: { rx_bytes: 9_007_199_254_740_991, tx_bytes: 0 },
        threats: [],
      }),
    ).toEqual({
      isSlow: false,
      event: {
        timestamp: TIME,
        host: 'db-1',
        cpu_usage: 12.5,
        memory_used: 4_294_967_297n,
        memory_total: 8_589_934_592n,
        memory_percentage: 50,
        network_rx_bytes: 9_007_199_254_740_991n,
      },
    });
  });

  test('threat-logs', () => {
    expect(
      parse({
        timestamp: TIME,
        host: 'h',
        process: 'nc',
        threats: [
          { name: 'shell', severity: 'high', tags: ['a', 'b'] },
          { name: 'x', severity: 'CRITICAL', tags: [] },
        ],
      }),
    ).toEqual({
      isSlow: false,
      event: {
        timestamp: TIME,
        host: 'h',
        process: 'nc',
        threats: [
          { name: 'shell', severity: 'HIGH', tags: ['a', 'b'] },
          { name: 'x', severity: 'CRITICAL', tags: [] },
        ],
      },
    });
  });

  test('security-events', () => {
    expect(
      parse({
        timestamp: TIME,
        host: 'h',
        process: 'sshd',
        pid: 4_294_967_295,
        user: 'root',
        source_ip: '203.0.113.9',
        source_port: 22,
        destination_ip: '2001:db8::1',
        destination_port: '443',
        outcome: 'failure',
        http: { method: 'GET', path: '/', status: 404 },
        geo: { country: 'DE', city: 'Köln' },
      }),
    ).toEqual({
      isSlow: false,
      event: {
        timestamp: TIME,
        host: 'h',
        process: 'sshd',
        pid: 4_294_967_295,
        user: 'root',
        source_ip: '00000000000000000000ffffcb007109',
        source_port: 22,
        destination_ip: '20010db8000000000000000000000001',
        destination_port: 443,
        outcome: 'failure',
        http_method: 'GET',
        http_path: '/',
        http_status: 404,
        geo_country: 'DE',
        geo_city: 'Köln',
      },
    });
  });
});

test('at least 99 % of what `produce` sends takes the fast path', () => {
  const generator = createGenerator({
    kind: 'mixed',
    seed: 3,
    startUs: RECORD_TIME_US - 60_000_000,
    rate: 100,
  });
  const records: string[] = [];
  while (records.length < 3000) {
    const event = generator.next();
    if (!event.isText) records.push(event.value);
  }
  const { events, slowCount } = harness.parseBatch(records);
  expect(events).toHaveLength(3000);
  expect(slowCount).toBeLessThan(30);
});

describe('names', () => {
  const samples: Record<number, string> = {
    [FieldKind.text]: 'some text',
    [FieldKind.ip]: '10.0.0.1',
    [FieldKind.uint]: '80',
    [FieldKind.float]: '1.5',
    [FieldKind.count]: '7',
    [FieldKind.time]: TIME,
    [FieldKind.level]: 'error',
    [FieldKind.severityNumber]: '17',
  };

  test('no path stands for two fields', () => {
    const paths = KNOWN_NAMES.map(({ path }) => path);
    expect(new Set(paths).size).toBe(paths.length);
  });

  test.each(KNOWN_NAMES.filter(({ field }) => samples[FIELDS[field]!.kind] !== undefined))(
    '$path sets its column, dotted and nested',
    ({ path, field }) => {
      const { kind, names } = FIELDS[field]!;
      const value = samples[kind]!;
      const canonical = harness.parse(JSON.stringify({ [names[0]!]: value })).event;
      expect(canonical).not.toHaveProperty('metadata');
      expect(harness.parse(JSON.stringify({ [path]: value })).event).toEqual(canonical);
      const nested = path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
      expect(harness.parse(JSON.stringify(nested))).toMatchObject({ event: canonical, isSlow: false });
    },
  );

  test.each(['meta', 'attributes', 'fields', 'extra', 'Metadata'])('%s is metadata', (name) => {
    expect(parse({ ts: TIME, [name]: { a: 1, user: 'u' } }).event).toEqual({
      timestamp: TIME,
      user: 'u',
      metadata: [['a', '1']],
    });
  });
});
