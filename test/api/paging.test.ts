/** Law 5 with pages of 50 and 1000; the small ones are in paging.long.test.ts. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { directRoutes, textOf } from './direct-routes.ts';
import { insertPagedRows, walkAll } from './paging.ts';

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  await insertPagedRows(clickhouse.store);
}, 60_000);

afterAll(async () => {
  await clickhouse.stop();
});

it('gives every row of the first page’s state exactly once, forward and back, while rows arrive', async () => {
  await walkAll(clickhouse.store, [50, 1000]);
  expect.hasAssertions();
}, 120_000);

it('refuses a cursor of another filter, order or scope, and one with any bit flipped', async () => {
  const routes = directRoutes(clickhouse.store);
  const scope = { services: ['s-1', 's-2'] };
  const first = await textOf(await routes.get('/logs?host=paged&limit=2', scope));
  const { next } = (JSON.parse(first) as { page: { next: string } }).page;
  const follow = (query: string, other: object = scope) => routes.get(`/logs?${query}`, other);
  expect((await follow(`host=paged&limit=3&cursor=${next}`)).status).toBe(200);
  expect((await follow(`host=paged&cursor=${next}`, { services: ['s-2', 's-1'] })).status).toBe(200);
  const refused = { code: 'bad_request' };
  await expect(follow(`host=paged&cursor=${next}`, {})).rejects.toMatchObject(refused);
  await expect(follow(`host=paged&cursor=${next}`, { services: ['s-1'] })).rejects.toMatchObject(refused);
  await expect(follow(`host=other&cursor=${next}`)).rejects.toMatchObject(refused);
  await expect(follow(`host=paged&order=asc&cursor=${next}`)).rejects.toMatchObject(refused);
  const bytes = Buffer.from(next, 'base64url');
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const cursor = flipped.toString('base64url');
    await expect(follow(`host=paged&cursor=${cursor}`)).rejects.toMatchObject(refused);
  }
});
