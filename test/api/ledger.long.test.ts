/**
 * `GET /pipeline/ledger` and the end of a lane over 20 million rows: ten days of 24 lanes with a row per second.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readLedgerEnds, sumUpLedger } from '../../src/store/ledger-sums.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type ApiFixture, startApi } from './api-fixture.ts';

const LANES = 24;
const ROWS = 833_334 * LANES;
/** Rows of a lane that are written at a time. */
const STEP = 50_000;
const LIMIT_MS = 1000;

let clickhouse: TestClickHouse;
let api: ApiFixture;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  api = await startApi('node', clickhouse.store);
});

afterAll(async () => {
  await api.stop();
  await clickhouse.stop();
});

/** Rows of each lane from number `from` on, each of ten records. */
async function write(from: number, count: number): Promise<void> {
  await clickhouse.store.command(
    `INSERT INTO ledger (source, partition, epoch, from_offset, to_offset, received, stored, filtered)
     SELECT 1, number % ${LANES}, 7, (${from} + intDiv(number, ${LANES})) * 10 AS start, start + 10, 10, 9, map('level', 1)
     FROM numbers(${count})`,
  );
}

it('is answered in less than a second when the old rows are summed up', async () => {
  const perLane = ROWS / LANES;
  for (let from = 0; from < perLane; from += STEP) {
    await write(from, Math.min(STEP, perLane - from) * LANES);
  }
  // As many rounds of `sumUpLedger` would have left it; all but the last row of each lane.
  await clickhouse.store.command(
    `INSERT INTO ledger_sums SELECT source, partition, 1, 7, max(from_offset), max(to_offset), min(from_offset),
       max(to_offset), sum(received), sum(stored), 0, 0, map('level', count()), map(), 0, 0, []
     FROM ledger WHERE to_offset < ${perLane * 10} GROUP BY source, partition`,
  );
  // What comes before the next round.
  await write(perLane, 600 * LANES);
  const times: Record<string, number> = {};
  for (const run of ['first', 'second']) {
    const beginMs = performance.now();
    const { body } = await api.get('/pipeline/ledger');
    times[run] = performance.now() - beginMs;
    expect(body.data).toHaveLength(LANES);
    expect(body.balanced).toBe(true);
    expect(body.data.reduce((sum: number, line: { received: number }) => sum + line.received, 0)).toBe(
      (ROWS + 600 * LANES) * 10,
    );
  }
  const endsMs = performance.now();
  expect(await readLedgerEnds(clickhouse.store)).toHaveLength(LANES);
  console.log('ledger of 20 M rows, ms', { ...times, ends: performance.now() - endsMs });
  await sumUpLedger(clickhouse.store);
  expect((await api.get('/pipeline/ledger')).body.balanced).toBe(true);
  expect(Math.min(...Object.values(times))).toBeLessThan(LIMIT_MS);
});
