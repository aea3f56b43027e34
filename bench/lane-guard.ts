/**
 * What exactly once costs in the store: ClickHouse's CPU for inserts with and without the guard, in turns, and the time
 * it takes to claim many lanes with nothing to repair.
 * Run against the build: npx tsc -p tsconfig.build.json && node dist/bench/lane-guard.js
 */

import type { LaneToken } from '../src/pipeline/ports.ts';
import { createBlockStore } from '../src/store/block-store.ts';
import { createOwnerName } from '../src/store/lane-claims.ts';
import { createLaneOwnership } from '../src/store/lane-ownership.ts';
import { startClickHouse } from '../test/support/clickhouse.ts';
import { laneBlock } from '../test/support/lanes.ts';
import { cpuSeconds, median } from './support/proc.ts';
import { saveResult } from './support/results.ts';

const LANE_COUNT = 24;
const BLOCK_COUNT = 5;
const BLOCK_ROWS = 100_000;
const MESSAGE_LENGTH = 80;
const ROUNDS = 6;

const clickhouse = await startClickHouse();
const { store, server } = clickhouse;
const owner = createOwnerName();
const lanes = Array.from({ length: LANE_COUNT }, (_, partition) => ({ source: 1, partition }));
const ownership = createLaneOwnership(store, { owner });

const claimMs: number[] = [];
let tokens: readonly LaneToken[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const start = performance.now();
  tokens = (await ownership.claim(lanes)).filter((standing) => standing !== undefined);
  claimMs.push(performance.now() - start);
}

const blocks = await Promise.all(
  lanes
    .slice(0, BLOCK_COUNT)
    .map(
      async (lane) =>
        await laneBlock(store, { ...lane, fromOffset: 0, count: BLOCK_ROWS, messageLength: MESSAGE_LENGTH }),
    ),
);
const variants = { plain: false, guarded: true } as const;
const seconds: Record<keyof typeof variants, number[]> = { plain: [], guarded: [] };
for (let round = 0; round < ROUNDS; round += 1) {
  const names = Object.keys(variants) as (keyof typeof variants)[];
  for (const name of round % 2 === 0 ? names : names.toReversed()) {
    const target = createBlockStore(store, { owner, isGuarded: variants[name] });
    const before = cpuSeconds(server.pid);
    await target.insertBlocks('logs', blocks, tokens);
    // The first round warms up.
    if (round > 0) seconds[name].push(cpuSeconds(server.pid) - before);
    for (const table of ['logs', 'events_1m', 'events_1h', 'host_metrics_1m', 'host_metrics_1h'])
      await store.command(`TRUNCATE TABLE ${table}`);
  }
}
saveResult('lane-guard', {
  rowsPerInsert: BLOCK_COUNT * BLOCK_ROWS,
  blocksPerInsert: BLOCK_COUNT,
  lanes: LANE_COUNT,
  cpuSecondsPlain: median(seconds.plain),
  cpuSecondsGuarded: median(seconds.guarded),
  ratio: median(seconds.guarded) / median(seconds.plain),
  claimMsMedian: median(claimMs),
});
await clickhouse.stop();
