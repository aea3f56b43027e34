/**
 * F2: the program kills itself at every failpoint: between the steps of storing and committing, and between those of
 * taking its lanes over at the next start.
 */
import type { Sabotage } from '../../../src/failpoints.ts';
import type { Chaos } from '../chaos.ts';
import type { Member, Resources } from '../member.ts';
import type { Scenario } from '../scenario.ts';

const RATE = 2000;
const SESSION = { KAFKA_SESSION_TIMEOUT_MS: '2000' };
const KILL_MS = 60_000;
/** From a start, with lanes to take over, until `/readyz` says so. */
const READY_MS = 15_000;
/** Deaths of one run; the short form takes so many, which the seed chooses. */
const SHORT_COUNT = 2;

/** At the last two it dies while it takes over what the death before left: rows without a ledger row. */
const DEATHS: readonly (readonly string[])[] = [
  ['insert_before'],
  ['insert_after'],
  ['commit_before'],
  ['commit_between'],
  ['worker'],
  ['insert_after', 'read_back'],
  ['insert_after', 'recompute'],
];

/** Those after which each safeguard is needed. */
const DEATHS_OF: Readonly<Record<Sabotage, readonly (readonly string[])[]>> = {
  commit_before_ack: [['insert_before']],
  skip_read_back: [['insert_after']],
  skip_recomputation: [['insert_after', 'recompute']],
  skip_ledger: [['insert_after']],
  // Needs two programs: F15.
  skip_guard: [],
  // Needs dead letters: F6.
  drop_letter_bytes: [],
};

export const everyFailpoint: Scenario = {
  id: 'F2',
  title: 'kill at every failpoint',
  sabotages: ['commit_before_ack', 'skip_read_back', 'skip_recomputation', 'skip_ledger'],
  async run(chaos) {
    await chaos.createTopic();
    const member = await chaos.createMember({ settings: SESSION });
    const before = chaos.scale === 'long' ? await usualResources(chaos, member) : undefined;
    const load = await chaos.startLoad({ rate: RATE });
    await load.sent(RATE);
    for (let round = 1; round <= chaos.pick(1, 3); round++) {
      for (const points of chooseDeaths(chaos)) {
        for (const point of points) await dieAt(chaos, member, point);
        if (chaos.scale === 'long') {
          await startAgain(chaos, member);
          await member.kill();
        }
      }
    }
    await startAgain(chaos, member);
    await load.stop();
    await chaos.verify();
    // All before it are dead: the last start, which took over what they left, is measured by the first.
    if (before !== undefined) await chaos.verifyResources(member, before);
  },
};

/** Of a start that nothing happens to. */
async function usualResources(chaos: Chaos, member: Member): Promise<Resources> {
  await member.start('', { isWhole: true });
  await member.ready();
  const resources = await chaos.warmUp(member);
  await member.kill();
  return resources;
}

async function startAgain(chaos: Chaos, member: Member): Promise<void> {
  const startedAt = Date.now();
  await member.start();
  await chaos.expectReadyAgain(member, READY_MS);
  await chaos.firstInsert(member);
  chaos.expectPlainRestart(member, startedAt);
}

function chooseDeaths({ sabotage, random, scale }: Chaos): readonly (readonly string[])[] {
  if (sabotage !== undefined) return DEATHS_OF[sabotage];
  if (scale === 'long') return DEATHS;
  const left = [...DEATHS];
  return Array.from({ length: SHORT_COUNT }, () => left.splice(random.below(left.length), 1).flat());
}

/** A take-over reaches its points once per start. */
function isOfTakeOver(point: string): boolean {
  return point === 'read_back' || point === 'recompute';
}

async function dieAt(chaos: Chaos, member: Member, point: string): Promise<void> {
  const failpoints = `${point}:kill@${isOfTakeOver(point) ? 1 : chaos.random.between(1, 4)}`;
  chaos.fault(failpoints);
  // All safeguards are on where it dies while it takes over: only so is the point reached.
  await member.start(failpoints, { isWhole: isOfTakeOver(point) });
  const isDead = await chaos.eventually(() => !member.isRunning, `${failpoints} is reached`, KILL_MS);
  if (isDead)
    chaos.expect((await member.exited).signal === 'SIGKILL', `${failpoints}: it ended in another way`);
  await member.kill();
}
