import { afterAll, beforeAll, expect, it } from 'vitest';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { measureTails } from './tail-clients.ts';

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
});

afterAll(async () => {
  await clickhouse.stop();
});

it('tells 20 clients with 5 filters every log once, and asks ClickHouse for none', async () => {
  const load = { clients: 20, filters: 5, logsPerPost: 20, posts: 20 };
  const { wrongCount, queryCount, delaysMs } = await measureTails(clickhouse, load);
  expect({ wrongCount, queryCount, toldCount: delaysMs.length }).toEqual({
    wrongCount: 0,
    queryCount: 0,
    toldCount: load.clients * load.posts,
  });
}, 120_000);
