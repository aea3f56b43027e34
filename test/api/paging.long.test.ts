/** Law 5 with pages of one row and of seven: thousands of queries. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { insertPagedRows, walkAll } from './paging.ts';

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  await insertPagedRows(clickhouse.store);
}, 60_000);

afterAll(async () => {
  await clickhouse.stop();
});

it('gives every row of the first page’s state exactly once, one row or seven at a time, both ways', async () => {
  await walkAll(clickhouse.store, [1, 7]);
  expect.hasAssertions();
}, 1_800_000);
