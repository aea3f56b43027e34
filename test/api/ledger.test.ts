/**
 * `GET /pipeline/ledger` over rows as the committer writes them, in a real ClickHouse.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sumUpLedger } from '../../src/store/ledger-sums.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type ApiFixture, startApi } from './api-fixture.ts';
import { insertSources } from './log-rows.ts';

let clickhouse: TestClickHouse;
let api: ApiFixture;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  await insertSources(clickhouse.store);
  api = await startApi('node', clickhouse.store);
});

afterAll(async () => {
  await api.stop();
  await clickhouse.stop();
});

beforeEach(async () => {
  for (const table of ['ledger', 'ledger_sums']) await clickhouse.store.command(`TRUNCATE TABLE ${table}`);
  api.status.snapshots.lanes = [];
});

const row = (from: number, to: number, counts: object = {}): object => ({
  source: 1,
  partition: 0,
  epoch: 1,
  from_offset: from,
  to_offset: to,
  received: to - from,
  stored: to - from,
  ...counts,
});

async function write(...rows: object[]): Promise<void> {
  for (const one of rows) await clickhouse.store.insertJson('ledger', [one]);
}

describe('GET /pipeline/ledger', () => {
  it('adds up all rows of a source and partition, and what is in flight beyond them', async () => {
    await write(
      row(10, 20, {
        stored: 6,
        already_present: 1,
        filtered: { blank: 1 },
        dead_lettered: { malformed_json: 2 },
      }),
      row(20, 50, { received: 28, stored: 27, filtered: { blank: 1 }, lost_upstream: 2 }),
      row(0, 5, { source: 2, partition: 3 }),
    );
    const lane = { source: 1, partition: 0, name: 'logs', committedOffset: 40, takenOffset: 57 };
    api.status.snapshots.lanes = [lane, { ...lane, partition: 9, committedOffset: 5, takenOffset: 8 }];
    const { body } = await api.get('/pipeline/ledger');
    expect(body.balanced).toBe(true);
    expect(body.data).toEqual([
      {
        source: 'logs',
        partition: 0,
        from_offset: 10,
        to_offset: 50,
        balanced: true,
        received: 38,
        stored: 33,
        already_present: 1,
        filtered: { blank: 2 },
        dead_lettered: { malformed_json: 2 },
        lost_upstream: 2,
        hole_count: 0,
        holes: [],
        in_flight: 7,
      },
      expect.objectContaining({ source: 'http', partition: 3, stored: 5, in_flight: 0 }),
      expect.objectContaining({ source: 'logs', partition: 9, received: 0, in_flight: 3 }),
    ]);
  });

  it('counts a row that was written twice once, the longer one', async () => {
    await write(row(0, 10), row(0, 10), row(0, 15));
    const { body } = await api.get('/pipeline/ledger');
    expect(body.data).toEqual([expect.objectContaining({ to_offset: 15, received: 15, hole_count: 0 })]);
  });

  it('names the stretches without a row, and is not balanced then', async () => {
    await write(row(5, 30), row(31, 40), row(40, 41), row(50, 60), row(0, 5, { partition: 1 }));
    const { body } = await api.get('/pipeline/ledger');
    expect(body.balanced).toBe(false);
    expect(body.data[0]).toMatchObject({
      balanced: false,
      from_offset: 5,
      to_offset: 60,
      hole_count: 2,
      holes: [
        { from_offset: 30, to_offset: 31 },
        { from_offset: 41, to_offset: 50 },
      ],
    });
    expect(body.data[1]).toMatchObject({ balanced: true, hole_count: 0, holes: [] });
  });

  it('counts what an older holder stored and what a newer one did after the offsets went back', async () => {
    await write(row(0, 100), row(100, 200), row(100, 120, { epoch: 2 }), row(120, 150, { epoch: 2 }));
    await clickhouse.store.command('OPTIMIZE TABLE ledger FINAL');
    const { body } = await api.get('/pipeline/ledger');
    expect(body.data).toEqual([
      expect.objectContaining({
        from_offset: 0,
        to_offset: 200,
        received: 250,
        balanced: true,
        hole_count: 0,
      }),
    ]);
  });

  it('answers the same, whatever of it is summed up already', async () => {
    const counts = { stored: 4, already_present: 1, filtered: { blank: 1 }, dead_lettered: { bad: 4 } };
    const rows = [
      row(0, 10, counts),
      row(10, 20, { filtered: { blank: 3 }, stored: 7 }),
      row(25, 30),
      row(30, 40, { stored: 9 }),
      row(20, 30, { epoch: 2 }),
      row(30, 33, { epoch: 2, received: 0, stored: 0, lost_upstream: 3 }),
      row(40, 50, { epoch: 3, ...counts }),
    ];
    await write(...rows, row(0, 9, { partition: 1 }));
    const { body: whole } = await api.get('/pipeline/ledger');
    expect(whole.data[0]).toMatchObject({ hole_count: 2, from_offset: 0, to_offset: 50, received: 55 });
    expect(whole.data[0].filtered).toEqual({ blank: 5 });
    await clickhouse.store.command('TRUNCATE TABLE ledger');
    await write(row(0, 9, { partition: 1 }));
    for (const one of rows) {
      // Twice: the last row may be written again, and is not summed up yet.
      await write(one, one);
      await sumUpLedger(clickhouse.store);
      await sumUpLedger(clickhouse.store);
    }
    expect((await api.get('/pipeline/ledger')).body).toEqual(whole);
    const [sums] = await clickhouse.store.query<{ epoch: number }>('SELECT * FROM ledger_sums FINAL');
    expect(sums).toMatchObject({ epoch: 2, from_offset: 30, received: 45, partition: 0 });
  });

  it('says so when one row is not balanced, even where another makes up for it', async () => {
    await write(row(0, 10, { stored: 9 }), row(10, 20, { stored: 11 }), row(0, 4, { partition: 1 }));
    const { body } = await api.get('/pipeline/ledger');
    expect(body.balanced).toBe(false);
    expect(body.data.map(({ balanced }: { balanced: boolean }) => balanced)).toEqual([false, true]);
  });

  it('is empty, and balanced, before anything came', async () => {
    expect((await api.get('/pipeline/ledger')).body).toEqual({ balanced: true, data: [] });
  });
});
