import { describe, expect, test } from 'vitest';
import { createServiceTelemetry } from '../src/telemetry-service.ts';

function harness(level: 'debug' | 'info' = 'debug', isPretty = false) {
  const lines: string[] = [];
  let nowMs = 0;
  const stream = {
    write: (line: string) => {
      lines.push(line);
    },
  };
  const telemetry = createServiceTelemetry({ level, isPretty, stream, now: () => nowMs });
  const moveMs = (by: number): void => {
    nowMs += by;
  };
  return { telemetry, lines, moveMs, parsed: () => lines.map((line) => JSON.parse(line)) };
}

describe('service telemetry', () => {
  test('logs an event as one JSON line with level, name and fields, and counts it', async () => {
    const { telemetry, parsed } = harness();
    telemetry.emit('insert_done', { table: 'logs' });
    telemetry.emit('records_received', { lane: 'logs/0' }, 250);
    expect(parsed()).toMatchObject([
      { level: 'debug', event: 'insert_done', table: 'logs', msg: 'insert done' },
      { level: 'debug', event: 'records_received', count: 250 },
    ]);
    const text = await telemetry.render();
    expect(text).toMatch(/^millrace_inserts_total\{table="logs"\} 1$/m);
    expect(text).toMatch(/^millrace_received_records_total 250$/m);
    expect(text).toMatch(/^process_cpu_seconds_total /m);
  });

  test('counts what the level keeps out of the log', async () => {
    const { telemetry, lines } = harness('info');
    telemetry.emit('records_stored', {}, 7);
    expect(lines).toEqual([]);
    expect(await telemetry.render()).toMatch(/^millrace_stored_records_total 7$/m);
  });

  test('thins out what repeats and says how much was left out', () => {
    const { telemetry, parsed, moveMs } = harness();
    for (let i = 0; i < 1000; i++) telemetry.emit('insert_failed', { table: 'logs' });
    expect(parsed()).toHaveLength(5);
    moveMs(10_001);
    telemetry.emit('insert_failed', { table: 'logs' });
    expect(parsed()).toHaveLength(7);
    expect(parsed()[5]).toMatchObject({ event: 'insert_failed', suppressed: 995 });
    for (let i = 0; i < 10; i++) telemetry.emit('insert_failed', { table: 'logs' });
    telemetry.flush();
    expect(parsed().at(-1)).toMatchObject({ suppressed: 6 });
  });

  test('keeps secrets out of fields', () => {
    const { telemetry, lines } = harness();
    telemetry.emit('started', { password: 'hunter2', url: 'http://u:hunter2@host/x', apiKey: 'hunter2' });
    expect(lines.join('')).not.toContain('hunter2');
    expect(lines.join('')).toContain('http://u:[redacted]@host/x');
  });

  test('writes text for people on a terminal', () => {
    const { telemetry, lines } = harness('info', true);
    telemetry.emit('http_listening', { url: 'http://127.0.0.1:8080' });
    expect(lines.join('')).toMatch(/INFO.*HTTP API is listening.*127\.0\.0\.1:8080/);
  });

  test('reads gauges when asked, with labels that come and go, and leaves failing ones out', async () => {
    const { telemetry } = harness();
    let lag: { labels: Record<string, string | number>; value: number }[] = [];
    telemetry.gauge('millrace_lag_records', 'records behind', () => lag);
    telemetry.gauge('millrace_buffer_bytes', 'bytes held', () => 42);
    telemetry.gauge('millrace_broken', 'never there', () => {
      throw new Error('no');
    });
    expect(await telemetry.render()).toMatch(/^millrace_buffer_bytes 42$/m);
    lag = [{ labels: { topic: 'logs', partition: 3 }, value: 9 }];
    const text = await telemetry.render();
    expect(text).toMatch(/^millrace_lag_records\{topic="logs",partition="3"\} 9$/m);
    expect(text).not.toMatch(/^millrace_broken \d/m);
  });

  test('never throws', () => {
    const { telemetry } = harness();
    expect(() => telemetry.emit('records_stored', {}, Number.NaN)).not.toThrow();
    expect(() => telemetry.emit('nonsense' as 'started')).not.toThrow();
  });
});
