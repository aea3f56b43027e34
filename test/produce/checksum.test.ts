import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Checksum, canonicalText, checksumQuery, hashEvent } from '../../src/produce/checksum.ts';
import { createDraft } from '../../src/produce/draft.ts';
import { createGenerator, type ProducedEvent } from '../../src/produce/generator.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';

const START = '2025-06-01T12:00:00.000Z';
const COUNT = 20_000;
/** Retention counts from it: rows that arrived long ago would be dropped at once. */
const NOW = new Date().toISOString();
const SYSLOG =
  /^<38>(\w{3} [ \d]\d [\d:]{8}) (\S+) sshd\[(\d+)\]: ((.* for (?:invalid user )?(\S+) from (\S+) port).*)$/;

interface Answer {
  readonly events: number;
  readonly distinct_events: number;
  readonly checksum: string;
}

/** A row of `logs` as the documented mapping makes it from a produced event, without the program's own parsers. */
function toRow(event: ProducedEvent, offset: number): Record<string, unknown> {
  const place = { source: 1, partition: 0, offset, retention_days: 30, ingested_at: NOW };
  if (event.isText) {
    const [, time, host, pid, message, , user, ip] = SYSLOG.exec(event.value)!;
    const timestamp = new Date(`${time} 2025 UTC`).toISOString();
    const outcome = message!.startsWith('Accepted') ? 'success' : 'failure';
    const base = {
      ...place,
      timestamp,
      host,
      service: 'sshd',
      process: 'sshd',
      pid: Number(pid),
      level: 'INFO',
    };
    return { ...base, message, user, source_ip: ip, outcome };
  }
  const { memory_usage: memory, network, metadata, ...top } = JSON.parse(event.value);
  return {
    ...place,
    ...top,
    host: top.host ?? metadata.host,
    memory_used: memory?.used ?? null,
    memory_total: memory?.total ?? null,
    memory_percentage: memory?.percentage ?? null,
    network_rx_bytes: network?.rx_bytes ?? null,
    network_tx_bytes: network?.tx_bytes ?? null,
    metadata: { seq: String(metadata.seq) },
  };
}

describe('checksum', () => {
  let clickhouse: TestClickHouse;
  let events: ProducedEvent[];
  beforeAll(async () => {
    clickhouse = await startClickHouse();
    const generator = createGenerator({
      kind: 'mixed',
      seed: 42,
      startUs: Date.parse(START) * 1000,
      rate: 100,
    });
    events = Array.from({ length: COUNT }, () => generator.next());
    await clickhouse.store.insertJson('logs', events.map(toRow));
  });
  afterAll(async () => {
    await clickhouse.stop();
  });

  async function ask(firstSeq: number, lastSeq: number): Promise<Answer> {
    const sql = `SELECT events, distinct_events, toString(checksum) AS checksum FROM (${checksumQuery({ firstSeq, lastSeq })})`;
    const [row] = await clickhouse.store.query<Answer>(sql);
    return row!;
  }

  function sum(of: readonly ProducedEvent[]): string {
    const checksum = new Checksum();
    for (const { hash } of of) checksum.add(hash);
    return checksum.toString();
  }

  test('of produced events is what ClickHouse computes over the stored ones', async () => {
    expect(await ask(1, COUNT)).toEqual({ events: COUNT, distinct_events: COUNT, checksum: sum(events) });
    expect(events.some((event) => event.isText)).toBe(true);
    expect(events.some((event) => event.value.includes('\\"'))).toBe(true);
  });

  test('covers the numbers that are asked for', async () => {
    const slice = events.filter(({ seq }) => seq >= 100 && seq <= 199);
    expect(await ask(100, 199)).toEqual({ events: 100, distinct_events: 100, checksum: sum(slice) });
  });

  test('tells a lost, a repeated and an altered event', async () => {
    const right = sum(events);
    expect(sum(events.slice(1))).not.toBe(right);
    expect(sum([...events, events[0]!])).not.toBe(right);
    const [row] = events.map(toRow);
    await clickhouse.store.insertJson('logs', [{ ...row, offset: COUNT + 1 }]);
    expect(await ask(1, COUNT)).toMatchObject({ events: COUNT + 1, distinct_events: COUNT });
    expect((await ask(1, COUNT)).checksum).not.toBe(right);
  });

  test('does not depend on the order', () => {
    expect(sum(events.toReversed())).toBe(sum(events));
  });
});

describe('canonical text', () => {
  test('joins all fields and leaves absent ones empty', () => {
    const draft = {
      ...createDraft(),
      seq: 7,
      timestampUs: 1_000_001,
      host: 'a',
      cpuUsage: '12.5',
      threats: 'x,y',
    };
    expect(canonicalText(draft)).toBe('7|1000001|a||||||||12.5||||||x,y');
    expect(hashEvent(draft)).not.toBe(hashEvent({ ...draft, cpuUsage: '12.6' }));
  });

  test('sums wrap at 2^64 as in ClickHouse', () => {
    const checksum = new Checksum();
    for (let i = 0; i < 5; i++) checksum.add(0xffff_ffff);
    expect(checksum.toString()).toBe(String(0xffff_ffffn * 5n));
  });
});
