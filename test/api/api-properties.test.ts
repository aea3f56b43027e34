/** Requests by chance, a few hundred of one seed; the rest is in api-properties.long.test.ts. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ApiPair } from './api-properties.ts';

let pair: ApiPair;

beforeAll(async () => {
  pair = await ApiPair.start();
});

afterAll(async () => {
  await pair.stop();
});

it('has a documented answer to every request, the same twice and at both servers', async () => {
  await pair.check({ seed: 4, runs: 200 });
  // Both what is answered and what is refused was seen.
  for (const status of [200, 400, 403, 404, 422]) expect([...pair.statuses.keys()]).toContain(status);
}, 120_000);
