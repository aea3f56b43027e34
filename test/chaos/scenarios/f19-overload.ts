/** F19: for a long time more comes in than ClickHouse can take; then the backlog is drained. Memory stays flat. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Sample, slopePerSecond } from '../faults/slope.ts';
import { startSlowStore } from '../faults/slow-store.ts';
import type { Member } from '../member.ts';
import type { Scenario } from '../scenario.ts';
import { warmUp } from './bus-steps.ts';

const MIB = 1024 * 1024;
const OVERLOAD = 1.5;
/** What ClickHouse may take: as little as makes the buffers full soon and 30 minutes of events fit on a disk. */
const SHORT_BYTES_PER_SECOND = 700_000;
const LONG_BYTES_PER_SECOND = 150_000;
/** Small inserts: even so slow a ClickHouse answers each of them long before a request is given up. */
const FLUSH_ROWS = '10000';
const SHORT_WARM_UP = 60_000;
const LONG_WARM_UP = 150_000;
/** Enough to measure by how fast it is stored. */
const SHORT_FLOOD = 100_000;
const LONG_FLOOD = 300_000;
const MAX_RESIDENT_BYTES = 400_000_000;
/** Bytes per second. A short look sees the collector at work (2 MiB/s were seen): there the peak and the end are what binds. */
const MAX_SLOPE_SHORT = 5 * MIB;
const MAX_SLOPE_LONG = 8 * 1024;
/** So long buffers fill and the heap finds its size; what grows after it has no end. */
const FILLING_MS = 600_000;
const DRAIN_MS = 600_000;
/** Of the measure of capacity. */
const MEASURE_MS = 200_000;
const LOOK_MS = 100;
const LEAST_LEAPS = 3;
const LEAST_SAMPLES = 3;

export const overload: Scenario = {
  id: 'F19',
  title: 'more than ClickHouse can take, then a drain',
  async run(chaos) {
    const clickhouse = await chaos.startClickHouse();
    const slow = await startSlowStore(clickhouse.connection);
    chaos.atEnd(() => slow.stop());
    const member = await chaos.startProgram({
      clickhouse: { ...clickhouse, url: slow.url },
      settings: { FLUSH_ROWS },
    });
    const before = await warmUp(chaos, member, chaos.pick(SHORT_WARM_UP, LONG_WARM_UP));

    const slowAt = Date.now();
    slow.bytesPerSecond = chaos.pick(SHORT_BYTES_PER_SECOND, LONG_BYTES_PER_SECOND);
    chaos.fault(`ClickHouse takes ${slow.bytesPerSecond} bytes of inserts per second`);
    const flood = await chaos.startLoad({ rate: 0, count: chaos.pick(SHORT_FLOOD, LONG_FLOOD) });
    const stored = (): Promise<number | undefined> => chaos.storedCount(clickhouse.store);
    await flood.finished();
    const capacity = await growthPerSecond(stored, chaos.pick(4000, 30_000));
    chaos.figure('capacity_per_s', capacity);

    const load = await chaos.startLoad({ rate: Math.round(OVERLOAD * capacity) });
    const samples = await watchMemory(member, chaos.pick(10_000, 1_800_000));
    const settled = samples.filter(({ atMs }) => atMs >= chaos.pick(0, FILLING_MS));
    chaos.expect(settled.length >= LEAST_SAMPLES, `memory was looked at ${settled.length} times only`);
    const slope = slopePerSecond(settled);
    chaos.figure('memory_slope_kib_per_min', (60 * slope) / 1024);
    chaos.figure('memory_settled_mib', (settled[0]?.value ?? 0) / MIB);
    chaos.figure('memory_last_mib', (samples.at(-1)?.value ?? 0) / MIB);
    const most = chaos.pick(MAX_SLOPE_SHORT, MAX_SLOPE_LONG);
    chaos.expect(slope < most, `memory grew by ${Math.round(slope)} bytes per second under overload`);
    await load.stop();
    // ClickHouse answers and takes rows, so the program is ready; a lane that waits longer than 30 s for its turn is told.
    const allowed = chaos.pick(['silent'], ['silent', 'no_progress']);
    chaos.expectNoAlarm(member, { sinceMs: slowAt, allowed });

    chaos.fault('ClickHouse is as fast as it can be');
    slow.bytesPerSecond = undefined;
    await chaos.verify({ store: clickhouse.store, settleMs: DRAIN_MS });
    await chaos.eventually(
      () => member.state === 'ready',
      'the program is ready when the backlog is drained',
    );
    await chaos.verifyResources(member, before);
    const peak = await member.peakBytes();
    chaos.figure('memory_peak_mib', peak / MIB);
    chaos.expect(peak <= MAX_RESIDENT_BYTES, `resident memory reached ${peak} bytes`);
  },
};

/** How fast a count grows that grows in leaps: from one leap to another, over so long and so many of them. */
async function growthPerSecond(count: () => Promise<number | undefined>, leastMs: number): Promise<number> {
  const giveUpAt = Date.now() + MEASURE_MS;
  let latest: number | undefined;
  let leaps = 0;
  let first = { atMs: 0, count: 0 };
  while (Date.now() < giveUpAt) {
    await delay(LOOK_MS);
    const now = { atMs: Date.now(), count: await count() };
    if (now.count === undefined || now.count === latest) continue;
    if (latest !== undefined && leaps++ === 0) first = { ...now, count: now.count };
    latest = now.count;
    if (leaps > LEAST_LEAPS && now.atMs - first.atMs >= leastMs)
      return (1000 * (now.count - first.count)) / (now.atMs - first.atMs);
  }
  throw new Error(`ClickHouse took rows ${leaps} times while its capacity was measured: too seldom`);
}

async function watchMemory(member: Member, forMs: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  const beganAt = Date.now();
  while (Date.now() - beganAt < forMs) {
    const { residentBytes } = await member.resources();
    samples.push({ atMs: Date.now() - beganAt, value: residentBytes });
  }
  return samples;
}
