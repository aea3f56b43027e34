/**
 * Signing in while others keep every connection of queries busy.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createStore } from '../../src/store/clickhouse-client.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { startApi } from './api-fixture.ts';

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
}, 60_000);

afterAll(async () => {
  await clickhouse.stop();
});

it('does not wait for queries', async () => {
  const queryStore = createStore({ ...clickhouse.connection, maxConnections: 1 });
  const api = await startApi('node', clickhouse.store, { queryStore });
  const end = new AbortController();
  let isOver = false;
  const slow = queryStore
    .query(
      'SELECT sleepEachRow(1) FROM numbers(60)',
      {},
      { settings: { max_block_size: 1 }, signal: end.signal },
    )
    .catch(() => undefined)
    .finally(() => {
      isOver = true;
    });
  expect(await api.token('viewer')).toMatch(/\./);
  expect((await api.get('/auth/me')).status).toBe(200);
  expect(isOver).toBe(false);
  end.abort();
  await slow;
  await api.stop();
  await queryStore.close();
}, 60_000);
