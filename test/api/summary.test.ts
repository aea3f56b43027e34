/**
 * `GET /metrics/summary` against values computed by hand, through both servers.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leastSquaresSlope, trendOf } from '../../src/api/summary/trend.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type ApiFixture, SERVERS, startApi } from './api-fixture.ts';
import { directRoutes, textOf } from './direct-routes.ts';
import { insertLogs } from './log-rows.ts';

const HOUR_MS = 3_600_000;
/** A whole hour in the near past, so that no rollup row expires. */
const BASE_MS = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 3 * HOUR_MS;
const SUMMARY = `/metrics/summary?from=${iso(0)}&to=${iso(600)}`;
/** Relative error of the sketches behind the quantiles (1 %), and some room. */
const QUANTILE_ERROR = 0.02;

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  const ingested_at = new Date().toISOString();
  const common = { ingested_at, environment: 'prod', service: 'metrics' };
  const at = (seconds: number, host: string, fields: object) => ({
    timestamp: iso(seconds),
    host,
    ...common,
    ...fields,
  });
  const memory = { memory_used: 1000, memory_total: 4000, memory_percentage: 25 };
  const samples = [
    // The period before.
    at(-300, 'a', { cpu_usage: 20, level: 'INFO' }),
    at(0, 'a', { cpu_usage: 10, network_rx_bytes: 1000, ...memory }),
    at(30, 'a', { cpu_usage: 20, network_rx_bytes: 4000 }),
    at(60, 'a', { cpu_usage: 30, network_rx_bytes: 10_000, network_tx_bytes: 7 }),
    // The counter began again from 0.
    at(180, 'a', { cpu_usage: 40, network_rx_bytes: 500 }),
    at(10, 'b', { cpu_usage: 50, memory_percentage: 75, memory_used: 3000 }),
    // At the end, exclusive.
    at(600, 'a', { cpu_usage: 99 }),
  ].map((row, i) => ({ ...row, offset: i }));
  // Two inserts, two lanes: states from several parts must merge.
  await insertLogs(clickhouse.store, samples.slice(0, 3));
  await insertLogs(
    clickhouse.store,
    samples.slice(3).map((row) => ({ ...row, partition: 5 })),
  );
  await insertLogs(clickhouse.store, [
    { timestamp: iso(5), ingested_at, level: 'ERROR', service: 'api', host: 'b', message: 'x' },
    { timestamp: iso(65), ingested_at, level: 'ERROR', service: 'api', host: 'b', environment: 'dev' },
    { timestamp: iso(66), ingested_at, level: 'INFO', service: 'api', host: '' },
  ]);
});

afterAll(async () => {
  await clickhouse.stop();
});

it('reads no row of the logs: it answers the same without them', async () => {
  const routes = directRoutes(clickhouse.store);
  const read = async (): Promise<object> => {
    const { meta, ...summed } = JSON.parse(await textOf(await routes.get(SUMMARY))) as { meta: object };
    expect(meta).toEqual({
      rows_read: expect.any(Number) as number,
      elapsed_ms: expect.any(Number) as number,
    });
    return summed;
  };
  const whole = await read();
  expect(whole).toMatchObject({ events: { total: 8 } });
  await clickhouse.store.command('RENAME TABLE logs TO logs_away');
  try {
    expect(await read()).toEqual(whole);
  } finally {
    await clickhouse.store.command('RENAME TABLE logs_away TO logs');
  }
});

describe.each(SERVERS)('summary on %s', (kind) => {
  let api: ApiFixture;

  beforeAll(async () => {
    api = await startApi(kind, clickhouse.store);
  });

  afterAll(async () => {
    await api.stop();
  });

  it('gives each metric over the range, with its trend', async () => {
    const { status, body } = await api.get(SUMMARY);
    expect(status).toBe(200);
    expect(body).toMatchObject({ from: micros(0), to: micros(600), interval_seconds: 60 });
    const { cpu_usage: cpu, memory_usage: memory, memory_used: used } = body.metrics;
    expect(cpu).toMatchObject({ unit: 'percent', avg: 30, min: 10, max: 50, samples: 5 });
    expect(Math.abs(cpu.p50 / 30 - 1)).toBeLessThan(QUANTILE_ERROR);
    // The sample at rank floor(0.99 · 4): the sketch does not interpolate.
    expect(Math.abs(cpu.p99 / 40 - 1)).toBeLessThan(QUANTILE_ERROR);
    // Averages per minute: 80/3, 30 and 40 at minutes 0, 1 and 3; slope 21.111… / 4.666… a minute.
    expect(cpu.trend.slope_per_hour).toBeCloseTo((60 * 21.111_111) / 4.666_667, 3);
    expect(cpu.trend).toMatchObject({ previous_avg: 20, change_percent: 50, direction: 'up' });
    expect(memory).toMatchObject({ unit: 'percent', avg: 50, min: 25, max: 75, samples: 2 });
    expect(memory.trend).toMatchObject({ slope_per_hour: null, previous_avg: null, change_percent: null });
    expect(used).toMatchObject({ unit: 'bytes', avg: 2000, min: 1000, max: 3000, samples: 2 });
  });

  it('turns counters into rates, over a reset too', async () => {
    const { body } = await api.get(SUMMARY);
    const { network_rx: rx, network_tx: tx } = body.metrics;
    // 3000 B in 30 s, 6000 B in 30 s, and 500 B in 120 s since the reset.
    expect(rx).toMatchObject({ unit: 'bytes_per_second', max: 200, samples: 3 });
    expect(rx.avg).toBeCloseTo(9500 / 180, 9);
    expect(rx.min).toBeCloseTo(500 / 120, 9);
    // One sample says nothing about a rate.
    expect(tx).toMatchObject({ avg: null, min: null, max: null, p50: null, samples: 0 });
    const rates = (body.series as { network_rx: { avg: number | null } }[]).map(
      (point) => point.network_rx.avg,
    );
    expect(rates.slice(0, 3)).toEqual([100, 200, null]);
    expect(rates[3]).toBeCloseTo(500 / 120, 9);
  });

  it('counts events and has a point for every interval', async () => {
    const { body } = await api.get(SUMMARY);
    expect(body.events).toEqual({
      total: 8,
      by_level: { UNSET: 5, ERROR: 2, INFO: 1 },
      by_service: [
        { service: 'metrics', count: 5 },
        { service: 'api', count: 3 },
      ],
    });
    const series = body.series as { time: string; events: number; cpu_usage: object }[];
    expect(series.map(({ time }) => time)).toEqual(Array.from({ length: 10 }, (_, i) => micros(60 * i)));
    expect(series.map(({ events }) => events)).toEqual([4, 3, 0, 1, 0, 0, 0, 0, 0, 0]);
    expect(series[9]?.cpu_usage).toEqual({ avg: null, min: null, max: null, samples: 0 });
    expect(body.top_hosts).toMatchObject([
      { host: 'a', events: 4, cpu_usage: { avg: 25, max: 40 }, memory_usage: { avg: 25, max: 25 } },
      { host: 'b', events: 3, cpu_usage: { avg: 50, max: 50 }, memory_usage: { avg: 75, max: 75 } },
    ]);
  });

  it('filters by host, service and environment', async () => {
    const onB = await api.get(`${SUMMARY}&host=b`);
    expect(onB.body.metrics.cpu_usage).toMatchObject({ avg: 50, samples: 1 });
    expect(onB.body.events.total).toBe(3);
    const dev = await api.get(`${SUMMARY}&environment=dev&service=api`);
    expect(dev.body.events).toMatchObject({ total: 1, by_level: { ERROR: 1 } });
    expect(dev.body.metrics.cpu_usage.samples).toBe(0);
    const both = await api.get(`${SUMMARY}&host=a&host=b&host=${encodeURIComponent("x') OR 1 --")}`);
    expect(both.body.metrics.cpu_usage.samples).toBe(5);
  });

  it('takes the last hour without parameters, and wider intervals on request', async () => {
    api.clock.nowMs = BASE_MS + 1_800_500;
    const { body } = await api.get('/metrics/summary');
    expect(body).toMatchObject({ from: micros(-1800), to: micros(1860), interval_seconds: 60 });
    expect(body.events.total).toBe(10);
    expect(body.series).toHaveLength(61);
    const wide = await api.get(`/metrics/summary?from=${iso(0)}&to=${iso(660)}&interval=5m`);
    const series = wide.body.series as { time: string; events: number; cpu_usage: { samples: number } }[];
    expect(series.map(({ events }) => events)).toEqual([8, 0, 1]);
    expect(series[0]?.cpu_usage.samples).toBe(5);
  });

  it('never gives more than 300 points, and reads hours where it can', async () => {
    for (const [hours, interval] of [
      [5, 120],
      [24, 300],
      [24 * 7, 3600],
      [24 * 30, 14_400],
      [24 * 365, 172_800],
      [24 * 365 * 20, 2_160_000],
    ]) {
      const { status, body } = await api.get(`/metrics/summary?from=now-${hours}h`);
      expect([status, hours, body.interval_seconds]).toEqual([200, hours, interval]);
      expect(body.series.length).toBeLessThanOrEqual(300);
      expect(body.events.total).toBeGreaterThanOrEqual(10);
      expect(body.metrics.cpu_usage.max).toBe(99);
    }
  });

  it.each([
    ['from=now&to=now-1h', 400],
    ['from=x', 400],
    ['interval=90', 400],
    ['interval=0', 400],
    ['interval=m', 400],
    ['from=now-5h&interval=1m', 422],
    ['from=now-60d&to=now-59d&interval=5m', 422],
    ['hots=a', 400],
    ['interval=1m&interval=2m', 400],
  ])('answers %s with %i', async (query, status) => {
    expect((await api.get(`/metrics/summary?${query}`)).status).toBe(status);
  });

  it('reads no row of the logs', async () => {
    await clickhouse.store.command('RENAME TABLE logs TO logs_aside');
    try {
      expect((await api.get(SUMMARY)).body.events.total).toBe(8);
    } finally {
      await clickhouse.store.command('RENAME TABLE logs_aside TO logs');
    }
  });
});

describe('trend', () => {
  it('is flat for a level line, and nothing without two points', () => {
    expect(leastSquaresSlope([])).toBeNull();
    expect(leastSquaresSlope([{ time: 1, value: 2 }])).toBeNull();
    const level = [0, 1, 2].map((time) => ({ time, value: 5 }));
    expect(trendOf(level, { current: 5, previous: 0 })).toEqual({
      slope_per_hour: 0,
      previous_avg: 0,
      change_percent: null,
      direction: 'flat',
    });
    const falling = [0, 3600].map((time) => ({ time, value: 10 - time / 3600 }));
    expect(trendOf(falling, { current: 9.5, previous: 19 })).toMatchObject({
      slope_per_hour: -1,
      change_percent: -50,
      direction: 'down',
    });
  });
});

function iso(seconds: number): string {
  return new Date(BASE_MS + seconds * 1000).toISOString();
}

function micros(seconds: number): string {
  return iso(seconds).replace('Z', '000Z');
}
