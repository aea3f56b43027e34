import { describe, expect, test } from 'vitest';
import { SCENARIOS, type Scenario } from '../../src/produce/attack.ts';
import { EVENT_KINDS } from '../../src/produce/draft.ts';
import { createGenerator, type GeneratorOptions, type ProducedEvent } from '../../src/produce/generator.ts';

const START_US = 1_748_779_200_000_000;
const BASE: GeneratorOptions = { kind: 'mixed', seed: 1, startUs: START_US, rate: 1000 };

function take(count: number, options: Partial<GeneratorOptions> = {}): ProducedEvent[] {
  const generator = createGenerator({ ...BASE, ...options });
  return Array.from({ length: count }, () => generator.next());
}

describe('generator', () => {
  test('the same seed gives the same events, another seed others', () => {
    expect(take(2000)).toEqual(take(2000));
    expect(take(100)).not.toEqual(take(100, { seed: 2 }));
    expect(take(100)).not.toEqual(take(100, { seed: 1 + 2 ** 32 }));
  });

  test('numbers events without gaps from the first number', () => {
    expect(take(50, { firstSeq: 101 }).map((event) => event.seq)).toEqual(
      Array.from({ length: 50 }, (_, index) => 101 + index),
    );
  });

  test('mixes the four kinds in their shares, each on its own topic, keyed by host', () => {
    const events = take(20_000);
    const share = (kind: string): number => events.filter((event) => event.kind === kind).length / 20_000;
    expect(share('logs')).toBeCloseTo(0.7, 1);
    expect(share('system-metrics')).toBeCloseTo(0.15, 1);
    expect(share('security-events')).toBeCloseTo(0.12, 1);
    expect(share('threat-logs')).toBeCloseTo(0.03, 1);
    expect(new Set(events.map((event) => event.key)).size).toBe(20);
    for (const event of events) expect(event.topic).toBe(event.kind);
    expect(new Set(take(500, { topic: 'all' }).map((event) => event.topic))).toEqual(new Set(['all']));
  });

  test.each(EVENT_KINDS)('%s are valid JSON that carries number, time and host', (kind) => {
    const events = take(3000, { kind, hosts: 300 }).filter((event) => !event.isText);
    expect(events.length).toBeGreaterThan(1000);
    for (const event of events) {
      const parsed = JSON.parse(event.value);
      expect(parsed.metadata.seq).toBe(event.seq);
      expect(Date.parse(parsed.timestamp)).toBeGreaterThanOrEqual(START_US / 1000);
      expect(parsed.host ?? parsed.metadata.host).toBe(event.key);
    }
  });

  test('half of the security events are syslog lines of sshd that end in their number', () => {
    const lines = take(3000, { kind: 'security-events', hosts: 300 }).filter((event) => event.isText);
    expect(lines.length).toBeGreaterThan(1300);
    for (const { value, seq, key } of lines) {
      expect(value).toMatch(/^<38>Jun {2}1 12:00:0\d [a-z]+-\d\d sshd\[\d+\]: (Accepted|Failed) \w+ for /);
      expect(value.split(' ')[4]).toBe(key);
      expect(value.endsWith(` ssh2: seq=${seq}`)).toBe(true);
    }
  });

  test('logs have the documented shape and about 250 bytes', () => {
    const events = take(5000, { kind: 'logs' });
    const bytes = events.reduce((sum, event) => sum + Buffer.byteLength(event.value), 0);
    expect(bytes / events.length).toBeGreaterThan(220);
    expect(bytes / events.length).toBeLessThan(300);
    const keys = new Set(events.map((event) => Object.keys(JSON.parse(event.value)).join()));
    expect(keys).toEqual(new Set(['timestamp,level,service,message,metadata']));
  });

  test('metrics stay in their limits and counters only grow', () => {
    const last = new Map<string, { rx: number; tx: number }>();
    for (const event of take(5000, { kind: 'system-metrics', rate: 10 })) {
      const { host, cpu_usage, memory_usage, network } = JSON.parse(event.value);
      expect(cpu_usage).toBeGreaterThanOrEqual(0);
      expect(cpu_usage).toBeLessThanOrEqual(100);
      expect(memory_usage.used).toBeLessThanOrEqual(memory_usage.total);
      expect(memory_usage.percentage).toBeCloseTo((memory_usage.used / memory_usage.total) * 100, 1);
      const before = last.get(host);
      expect(network.rx_bytes).toBeGreaterThanOrEqual(before?.rx ?? 0);
      expect(network.tx_bytes).toBeGreaterThanOrEqual(before?.tx ?? 0);
      last.set(host, { rx: network.rx_bytes, tx: network.tx_bytes });
    }
    expect(last.size).toBe(20);
  });

  test.each([
    [1, 60],
    [100, 5],
  ])('counters go on from run to run, whatever the seeds, at %i events/s', (rate, pauseSeconds) => {
    const counts = (startUs: number, seed: number): { host: string; rx: number; tx: number; us: number }[] =>
      take(400, { kind: 'system-metrics', rate, startUs, seed, hosts: 4 }).map((event) => {
        const { host, timestamp, network } = JSON.parse(event.value);
        return { host, rx: network.rx_bytes, tx: network.tx_bytes, us: Date.parse(timestamp) * 1000 };
      });
    const runUs = (400 / rate + pauseSeconds) * 1e6;
    const runs = [0, 1, 2].map((run) => counts(START_US + run * runUs, run + 1));
    for (const [earlier, later] of [runs.slice(0, 2), runs.slice(1)]) {
      for (const host of ['web-01', 'api-01', 'db-01', 'worker-01']) {
        const before = earlier!.findLast((count) => count.host === host)!;
        const after = later!.find((count) => count.host === host)!;
        const seconds = (after.us - before.us) / 1e6;
        for (const bytes of [after.rx - before.rx, after.tx - before.tx]) {
          expect(bytes / seconds).toBeGreaterThan(500);
          expect(bytes / seconds).toBeLessThan(5_000_000);
        }
      }
    }
  });

  test('event times go on at the rate and never back', () => {
    const times = take(1000, { kind: 'logs', rate: 100 }).map((event) => {
      const [, fraction] = /\.(\d{6})Z/.exec(event.value) ?? [];
      return Math.floor(Date.parse(JSON.parse(event.value).timestamp) / 1000) * 1e6 + Number(fraction);
    });
    for (let i = 1; i < times.length; i++) expect(times[i]!).toBeGreaterThanOrEqual(times[i - 1]!);
    expect(times.at(-1)! - START_US).toBeGreaterThan(9.9e6);
    expect(times.at(-1)! - START_US).toBeLessThan(10e6);
  });

  test.each([
    ['ssh-brute-force', /Failed password for .*from 203\.0\.113\.\d+/],
    ['spray', /Failed password for \w+ from 203\.0\.113\.\d+/],
    ['cpu-spike', /"cpu_usage":(9[2-9]|100)/],
    ['web-scan', / 404 in [\d.]+ ms from 203\.0\.113\.\d+/],
  ] as const)('scenario %s shows in its kind of events', (scenario: Scenario, pattern) => {
    const { kind } = SCENARIOS[scenario];
    const count = (options: Partial<GeneratorOptions>): number =>
      take(4000, { kind, ...options }).filter((event) => pattern.test(event.value)).length;
    expect(count({ scenario })).toBeGreaterThan(count({}) + 100);
  });

  test('makes 200,000 events a second on one core', () => {
    take(50_000);
    const start = process.cpuUsage();
    take(100_000);
    const { user, system } = process.cpuUsage(start);
    // CPU time, and half of the goal: the machine may be busy with other tests.
    expect(100_000 / ((user + system) / 1e6)).toBeGreaterThan(100_000);
  });
});
