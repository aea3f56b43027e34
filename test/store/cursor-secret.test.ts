/** The secret of cursors on a real ClickHouse. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readCursorSecret } from '../../src/store/cursor-secret.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
});

afterAll(async () => {
  await clickhouse.stop();
});

it('is one for all programs that start together, and for those that come later', async () => {
  const { store } = clickhouse;
  const [first, ...others] = await Promise.all([1, 2, 3].map(() => readCursorSecret(store)));
  expect(first).toHaveLength(32);
  expect([...others, await readCursorSecret(store)]).toEqual([first, first, first]);
  expect(await store.query('SELECT count() AS count FROM cursor_secret')).toEqual([{ count: 1 }]);
});

it('is not taken from what is no secret', async () => {
  await clickhouse.store.command(`INSERT INTO cursor_secret VALUES ('', '2020-01-01 00:00:00')`);
  await expect(readCursorSecret(clickhouse.store)).rejects.toThrow(/64 hexadecimal digits/);
});
