/** Requests by chance, thousands of several seeds. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ApiPair } from './api-properties.ts';

let pair: ApiPair;

beforeAll(async () => {
  pair = await ApiPair.start();
});

afterAll(async () => {
  await pair.stop();
});

it.each([1, 2, 3, 5])(
  'has a documented answer to every request of seed %i',
  async (seed) => {
    await pair.check({ seed, runs: 2500 });
    expect(pair.statuses.get(200)).toBeGreaterThan(1000);
  },
  1_800_000,
);
