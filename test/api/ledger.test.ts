/**
 * `GET /pipeline/ledger` over rows as the committer writes them, in a real ClickHouse.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
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
  await clickhouse.store.command('TRUNCATE TABLE ledger');
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
        in_flight_offsets: 7,
      },
      expect.objectContaining({ source: 'http', partition: 3, stored: 5, in_flight_offsets: 0 }),
      expect.objectContaining({ source: 'logs', partition: 9, received: 0, in_flight_offsets: 3 }),
    ]);
  });

  it('counts a row that was written twice once, the longer one', async () => {
    await write(row(0, 10), row(0, 10), row(0, 15));
    const { body } = await api.get('/pipeline/ledger');
    expect(body.data).toEqual([expect.objectContaining({ to_offset: 15, received: 15, hole_count: 0 })]);
  });

  it('names the stretches without a row, wherever longer rows end', async () => {
    await write(row(5, 30), row(10, 12), row(31, 40), row(40, 41), row(50, 60));
    const { body } = await api.get('/pipeline/ledger');
    expect(body.data[0]).toMatchObject({
      from_offset: 5,
      to_offset: 60,
      hole_count: 2,
      holes: [
        { from_offset: 30, to_offset: 31 },
        { from_offset: 41, to_offset: 50 },
      ],
    });
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
