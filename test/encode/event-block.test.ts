/** Blocks as ClickHouse takes them: what was set is what its tables hold. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashBytes } from '../../src/encode/bytes.ts';
import { DeadLetterBlock } from '../../src/encode/dead-letter-block.ts';
import { EventBlock } from '../../src/encode/event-block.ts';
import { TextField, UintField } from '../../src/encode/event-row.ts';
import { CountField, FloatField } from '../../src/encode/metric-field.ts';
import { EventFlag, LOG_COLUMNS } from '../../src/event/columns.ts';
import { createBlockStore } from '../../src/store/block-store.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { readNative, readNativeRows } from '../support/native-reader.ts';

const DAY_US = 86_400_000_000;
// Rows older than their retention vanish on arrival, so this one test looks at the clock.
const RECORD_US = Math.floor(Date.now() / 86_400_000) * DAY_US + 3_600_000_000;
const SCOPE = { source: 200, partition: 16_383, retentionDays: 30, retentionClass: 3 };

let clickhouse: TestClickHouse;
beforeAll(async () => {
  clickhouse = await startClickHouse();
});
afterAll(async () => {
  await clickhouse?.stop();
});

function bytesOf(text: string) {
  const bytes = new TextEncoder().encode(text);
  return { bytes, range: { start: 0, end: bytes.length } };
}

function setText(block: EventBlock, field: TextField, text: string): void {
  const { bytes, range } = bytesOf(text);
  block.text(field, bytes, range);
}

/** The columns of `names`, as the table holds them, by offset. */
async function stored(table: string, names: readonly string[]): Promise<Record<string, unknown>[]> {
  const { url, headers, database } = clickhouse.connection;
  const query = `SELECT ${names.map((name) => `\`${name}\``).join(', ')} FROM ${table} ORDER BY offset FORMAT Native`;
  const response = await fetch(`${url}/?database=${database}&query=${encodeURIComponent(query)}`, {
    headers: headers ?? {},
  });
  if (!response.ok) throw new Error(await response.text());
  return readNativeRows(await response.arrayBuffer());
}

async function roundTrip(block: EventBlock): Promise<Record<string, unknown>[]> {
  await clickhouse.store.command('TRUNCATE TABLE logs');
  const encoded = block.finish();
  await createBlockStore(clickhouse.store, { owner: 'test', isGuarded: false }).insertBlocks(
    'logs',
    [encoded],
    [],
  );
  const names = [...readNative(encoded.bytes).columns.keys()];
  return stored('logs', names);
}

describe('EventBlock', () => {
  test('writes every column so that the table holds what was set', async () => {
    const block = new EventBlock();
    block.reset(SCOPE);
    block.beginRow(2 ** 40 - 1, RECORD_US);
    for (const field of Object.values(TextField)) setText(block, field, `text ${field} ünïcode`);
    for (const field of Object.values(UintField)) block.uint(field, 60_000 + field);
    const v4 = bytesOf('203.0.113.7');
    const v6 = bytesOf('2001:db8::7');
    expect(block.ip(0, v4.bytes, v4.range)).toBe(true);
    expect(block.ip(1, v6.bytes, v6.range)).toBe(true);
    block.timestamp(RECORD_US - 123_456);
    block.severity(13);
    block.float(FloatField.cpuUsage, 12.625);
    block.float(FloatField.memoryPercentage, 0);
    for (const field of Object.values(CountField)) block.count(field, 0xffff_fffe, 0xffff_fff0 + field);
    const value = bytesOf('a value');
    block.metadata('key', value.bytes, value.range);
    block.threat();
    block.threatName(value.bytes, value.range);
    block.threatSeverity(v4.bytes, v4.range);
    block.threatTag(v4.bytes, v4.range);
    block.threatTag(v6.bytes, v6.range);
    block.textRepaired();
    block.commitRow();
    const row = (await roundTrip(block))[0] ?? {};
    // `template_id` is nobody's yet; every other column was set.
    expect(Object.keys(row)).toEqual(
      LOG_COLUMNS.map(({ name }) => name).filter((name) => name !== 'template_id'),
    );
    expect(row).toMatchObject({
      timestamp: BigInt(RECORD_US - 123_456),
      ingested_at: BigInt(RECORD_US),
      source: 200,
      partition: 16_383,
      offset: 2n ** 40n - 1n,
      flags: EventFlag.textRepaired,
      retention_days: 30,
      host: 'text 0 ünïcode',
      level: 'WARN',
      severity_number: 13,
      message: 'text 9 ünïcode',
      http_path: 'text 13 ünïcode',
      source_ip: '00000000000000000000ffffcb007107',
      destination_ip: '20010db8000000000000000000000007',
      pid: 60_002,
      http_status: 60_003,
      cpu_usage: 12.625,
      memory_percentage: 0,
      network_tx_bytes: (0xffff_fff3n << 32n) | 0xffff_fffen,
      threats: [{ name: 'a value', severity: '203.0.113.7', tags: ['203.0.113.7', '2001:db8::7'] }],
      metadata: [['key', 'a value']],
    });
  });

  test('gives ClickHouse defaults for rows and columns that were not set, and leaves absent columns out', async () => {
    const block = new EventBlock();
    block.reset(SCOPE);
    for (let row = 0; row < 5000; row += 1) {
      block.beginRow(row, RECORD_US);
      // Every field is set in a few rows that are far apart.
      if (row % 1777 === 1) {
        for (const field of [TextField.host, TextField.message, TextField.httpPath])
          setText(block, field, `v${row}`);
        block.uint(UintField.pid, row);
        block.count(CountField.memoryUsed, row, 1);
      }
      if (row === 4000) {
        block.threat();
        setText(block, TextField.user, 'only here');
      }
      block.commitRow();
    }
    const encoded = readNative(block.finish().bytes);
    for (const absent of ['service', 'metadata', 'source_ip'])
      expect(encoded.columns.has(absent)).toBe(false);
    const rows = await roundTrip(block);
    expect(rows).toHaveLength(5000);
    expect(rows).toEqual(encoded.rows);
    expect(rows[1]).toMatchObject({
      host: 'v1',
      pid: 1,
      memory_used: 2n ** 32n + 1n,
      flags: EventFlag.timeMissing,
    });
    expect(rows[2]).toMatchObject({ host: '', message: '', pid: 0, memory_used: null, threats: [] });
    expect(rows[4000]).toMatchObject({ user: 'only here', threats: [{ name: '', severity: '', tags: [] }] });
  });

  test.each([300, 65_536])('keeps %i different values of a low-cardinality column', async (count) => {
    const block = new EventBlock();
    block.reset(SCOPE);
    for (let row = 0; row < count; row += 1) {
      block.beginRow(row, RECORD_US);
      setText(block, TextField.host, `host-${row}`);
      block.commitRow();
    }
    const rows = await roundTrip(block);
    expect(rows.map(({ host }) => host)).toEqual(Array.from({ length: count }, (_, row) => `host-${row}`));
  });

  test('survives values made to share a hash, in time and in ClickHouse', async () => {
    const colliding: string[] = [];
    for (let index = 0; colliding.length < 200; index += 1) {
      const { bytes } = bytesOf(`user${index}`);
      if ((hashBytes(bytes, 0, bytes.length) & 0xff) === 7) colliding.push(`user${index}`);
    }
    const block = new EventBlock();
    block.reset(SCOPE);
    const users = [...colliding, ...colliding];
    for (const [row, user] of users.entries()) {
      block.beginRow(row, RECORD_US);
      setText(block, TextField.user, user);
      const { bytes, range } = bytesOf(user);
      block.metadata(user, bytes, range);
      block.commitRow();
    }
    const rows = await roundTrip(block);
    expect(rows.map(({ user }) => user)).toEqual(users);
    expect(rows.map(({ metadata }) => metadata)).toEqual(users.map((user) => [[user, user]]));
  });

  test('a rolled back row leaves nothing behind', () => {
    const kept = new EventBlock();
    const mixed = new EventBlock();
    kept.reset(SCOPE);
    mixed.reset(SCOPE);
    for (let row = 0; row < 50; row += 1) {
      for (const block of row % 2 === 0 ? [kept, mixed] : [mixed]) {
        block.beginRow(row, RECORD_US);
        for (const field of Object.values(TextField)) setText(block, field, `${field} of ${row % 7}`);
        block.uint(UintField.pid, row + 1);
        const ip = bytesOf(`10.0.0.${row}`);
        block.ip(0, ip.bytes, ip.range);
        block.severity((row % 24) + 1);
        block.float(FloatField.cpuUsage, row);
        block.count(CountField.memoryTotal, row, row);
        block.metadata(`key${row % 5}`, ip.bytes, ip.range);
        block.threat();
        block.threatName(ip.bytes, ip.range);
        block.threatTag(ip.bytes, ip.range);
        if (row % 2 === 0) block.commitRow();
        else block.clearRow();
      }
    }
    expect(readNative(mixed.finish().bytes).rows).toEqual(readNative(kept.finish().bytes).rows);
    expect(mixed.finish().bytes.byteLength).toBe(kept.finish().bytes.byteLength);
  });

  test('a reset block is as a new one', () => {
    const block = new EventBlock();
    const sizes: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      block.reset(SCOPE);
      for (let row = 0; row < 20; row += 1) {
        block.beginRow(row, RECORD_US);
        setText(block, TextField.host, `host ${row % 3}`);
        if (round === 0) setText(block, TextField.user, `user ${row}`);
        block.severity(9);
        block.commitRow();
      }
      sizes.push(block.finish().bytes.byteLength);
    }
    expect(sizes[1]).toBeLessThan(sizes[0] ?? 0);
    expect(sizes[2]).toBe(sizes[1]);
    const rows = readNative(block.finish().bytes).rows;
    expect(rows[19]).toMatchObject({ host: 'host 1', level: 'INFO' });
    expect(rows[19]).not.toHaveProperty('user');
  });

  test('the last text that is set wins, and hasText sees it', () => {
    const block = new EventBlock();
    block.reset(SCOPE);
    block.beginRow(0, RECORD_US);
    expect(block.hasText(TextField.message)).toBe(false);
    for (const field of [TextField.message, TextField.host] as const) {
      setText(block, field, 'the first, a longer one');
      setText(block, field, 'second');
      expect(block.hasText(field)).toBe(true);
    }
    expect(block.hasIp(0)).toBe(false);
    expect(block.hasUint(UintField.pid)).toBe(false);
    block.commitRow();
    block.beginRow(1, RECORD_US);
    expect(block.hasText(TextField.message) || block.hasText(TextField.host)).toBe(false);
    block.commitRow();
    expect(readNative(block.finish().bytes).rows).toMatchObject([
      { host: 'second', message: 'second' },
      { host: '', message: '' },
    ]);
  });

  test('names its partitions and asks to be sealed at thirty-two of them', () => {
    const block = new EventBlock();
    block.reset(SCOPE);
    for (let row = 0; row < 32; row += 1) {
      expect(block.needsSeal).toBe(false);
      block.beginRow(row, RECORD_US);
      block.timestamp(RECORD_US - (row % 32) * DAY_US);
      block.commitRow();
    }
    expect(block.needsSeal).toBe(true);
    const today = Math.floor(RECORD_US / DAY_US);
    expect(block.finish().partitionKeys).toEqual(
      Array.from({ length: 32 }, (_, index) => (today - 31 + index) * 8 + 3),
    );
    block.reset(SCOPE);
    expect(block.needsSeal).toBe(false);
  });

  test('a time that cannot be true is replaced and flagged', () => {
    const block = new EventBlock();
    block.reset(SCOPE);
    const times = [RECORD_US + 3_600_000_000, RECORD_US + 3_600_000_001, -1, Number.NaN, 0];
    for (const [row, time] of times.entries()) {
      block.beginRow(row, RECORD_US);
      block.timestamp(time);
      block.commitRow();
    }
    const { timeReplaced } = EventFlag;
    const record = BigInt(RECORD_US);
    expect(readNative(block.finish().bytes).rows).toMatchObject([
      { timestamp: record + 3_600_000_000n, flags: 0 },
      { timestamp: record, flags: timeReplaced },
      { timestamp: record, flags: timeReplaced },
      { timestamp: record, flags: timeReplaced },
      { timestamp: 0n, flags: 0 },
    ]);
    expect(block.maxTimestampUs).toBe(RECORD_US + 3_600_000_000);
  });
});

test('DeadLetterBlock keeps payloads byte for byte, invalid UTF-8 included', async () => {
  const block = new DeadLetterBlock();
  block.reset({ source: 5, partition: 6 });
  const payload = Uint8Array.from({ length: 300 }, (_, index) => index & 0xff);
  block.add('malformed_json', {
    offset: 11,
    recordTimeUs: RECORD_US,
    detail: 'why',
    bytes: payload,
    start: 10,
    end: 290,
  });
  block.add('nested_too_deep', {
    offset: 12,
    recordTimeUs: -5,
    detail: '',
    bytes: payload,
    start: 0,
    end: 0,
  });
  await createBlockStore(clickhouse.store, { owner: 'test', isGuarded: false }).insertBlocks(
    'dead_letters',
    [block.finish()],
    [],
  );
  const rows = await clickhouse.store.query<Record<string, unknown>>(
    `SELECT source, partition, offset, toUnixTimestamp64Micro(record_time) AS time, reason, detail,
      hex(payload) AS payload FROM dead_letters ORDER BY offset`,
  );
  const hex = Buffer.from(payload.subarray(10, 290)).toString('hex').toUpperCase();
  expect(rows).toEqual([
    {
      source: 5,
      partition: 6,
      offset: 11,
      time: RECORD_US,
      reason: 'malformed_json',
      detail: 'why',
      payload: hex,
    },
    { source: 5, partition: 6, offset: 12, time: 0, reason: 'nested_too_deep', detail: '', payload: '' },
  ]);
});
