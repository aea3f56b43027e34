/** Many clients of the live tail, with the figures that are asked of them. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { measureTails } from './tail-clients.ts';

const MIB = 1_048_576;
/** For 200 streams with their queues and connections. */
const MAX_GROWTH_BYTES = 64 * MIB;
const MAX_P99_MS = 1000;

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
});

afterAll(async () => {
  await clickhouse.stop();
});

it('tells 200 clients with 50 filters every log once within a second, and asks ClickHouse for none', async () => {
  const load = { clients: 200, filters: 50, logsPerPost: 100, posts: 300 };
  const figures = await measureTails(clickhouse, load);
  const { wrongCount, queryCount, delaysMs, residentBefore, residentAfter } = figures;
  const at = (share: number): number | undefined => delaysMs[Math.floor(delaysMs.length * share)];
  const [p50, p99, max] = [at(0.5), at(0.99), delaysMs.at(-1)];
  const growthMib = Math.round((residentAfter - residentBefore) / MIB);
  console.log(JSON.stringify({ p50, p99, max, queryCount, wrongCount, growthMib }));
  expect({ wrongCount, queryCount, toldCount: delaysMs.length }).toEqual({
    wrongCount: 0,
    queryCount: 0,
    toldCount: load.clients * load.posts,
  });
  expect(p99).toBeLessThan(MAX_P99_MS);
  expect(residentAfter - residentBefore).toBeLessThan(MAX_GROWTH_BYTES);
});
