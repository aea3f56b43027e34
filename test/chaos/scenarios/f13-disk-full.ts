/**
 * F13: the disk of ClickHouse fills up and is freed again. Once the guard holds the inserts before ClickHouse notices;
 * once there is no guard (MIN_FREE_DISK_MB=0) and ClickHouse itself runs out of room, in the middle of what it does.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Chaos } from '../chaos.ts';
import { mountSmallDisk, type SmallDisk, smallDiskProblem } from '../faults/small-disk.ts';
import type { Member, Resources } from '../member.ts';
import type { Scenario } from '../scenario.ts';

const MIB = 1024 * 1024;
const SHORT_RATE = 2000;
const LONG_RATE = 2500;
const DISK_BYTES = 256 * MIB;
/** Above what the scenario leaves, which is above what the embedded ClickHouse keeps free by itself. */
const MIN_FREE_MB = 128;
/** What the embedded ClickHouse keeps free by itself. */
const KEPT_FREE_BYTES = 64 * MIB;
/** A small disk has room for no more, and a small budget is filled by so many: no fault takes more than the warm-up did. */
const WARM_UP_COUNT = 100_000;
const BUDGET_MB = 64;
/** What was begun while there was room ends meanwhile. */
const SETTLE_MS = 2000;
/** The guard looks every 5 s. */
const NOTICED_MS = 12_000;

interface FullProgram {
  readonly member: Member;
  readonly disk: SmallDisk;
  /** In the long form. */
  readonly before: Resources | undefined;
}

async function startOnSmallDisk(chaos: Chaos, minFreeMb: number): Promise<FullProgram> {
  const disk = await mountSmallDisk(DISK_BYTES);
  chaos.atEnd(() => disk.unmount());
  const member = await chaos.startProgram({
    dataDir: `${disk.path}/data`,
    settings: { MIN_FREE_DISK_MB: String(minFreeMb), MEMORY_BUDGET_MB: String(BUDGET_MB) },
  });
  const before = chaos.scale === 'long' ? await chaos.warmUp(member, { count: WARM_UP_COUNT }) : undefined;
  return { member, disk, before };
}

async function fillAndFree(
  chaos: Chaos,
  { member, disk }: FullProgram,
  told: { readonly leaveBytes: number; readonly reasons: readonly string[] },
): Promise<void> {
  chaos.fault(`disk filled up to ${Math.floor(told.leaveBytes / 1024)} KiB`);
  const filledAt = Date.now();
  // No disk fills up in an instant; and what ClickHouse has begun with room to spare cannot notice that it is gone.
  await disk.fill(Math.max(told.leaveBytes, KEPT_FREE_BYTES - MIB));
  await delay(SETTLE_MS);
  await disk.fill(told.leaveBytes);
  await chaos.eventually(
    () => told.reasons.some((reason) => member.saidSince(filledAt, reason)),
    `/readyz says ${told.reasons.join(' or ')} while the disk is full`,
    NOTICED_MS,
  );
  await delay(chaos.pick(2000, 20_000));
  chaos.expect(member.state !== 'ready', '/readyz said ready while the disk was full');
  chaos.fault('disk freed');
  await disk.free();
  await chaos.firstInsert(member);
}

async function finish(chaos: Chaos, { member, before }: FullProgram): Promise<void> {
  await chaos.eventually(() => member.state === 'ready', 'the program is ready again');
  await chaos.verify();
  if (before !== undefined) await chaos.verifyResources(member, before);
}

export const diskLow: Scenario = {
  id: 'F13A',
  title: 'the disk is nearly full and the guard holds the inserts, then it is freed',
  obstacle: smallDiskProblem,
  async run(chaos) {
    const program = await startOnSmallDisk(chaos, MIN_FREE_MB);
    const load = await chaos.startLoad({ rate: chaos.pick(SHORT_RATE, LONG_RATE) });
    await chaos.firstInsert(program.member);
    for (let round = 1; round <= chaos.pick(1, 3); round++) {
      const leaveBytes = chaos.random.between(80, 110) * MIB;
      await fillAndFree(chaos, program, { leaveBytes, reasons: ['disk_low'] });
    }
    await load.stop();
    await finish(chaos, program);
  },
};

export const diskFull: Scenario = {
  id: 'F13B',
  title: 'ClickHouse runs out of room, then the disk is freed',
  obstacle: smallDiskProblem,
  async run(chaos) {
    const program = await startOnSmallDisk(chaos, 0);
    const load = await chaos.startLoad({ rate: chaos.pick(SHORT_RATE, LONG_RATE) });
    await chaos.firstInsert(program.member);
    for (let round = 1; round <= chaos.pick(1, 6); round++) {
      const leaveBytes = chaos.random.between(0, 3 * 1024) * 1024;
      await fillAndFree(chaos, program, { leaveBytes, reasons: ['disk_low', 'clickhouse_unavailable'] });
    }
    await load.stop();
    await finish(chaos, program);
  },
};
