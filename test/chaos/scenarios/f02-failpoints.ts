/**
 * F2: the program kills itself at every failpoint: between the steps of storing and committing, and between those of
 * taking its lanes over at the next start.
 */
import type { Chaos } from '../chaos.ts';
import type { Member } from '../member.ts';
import type { Scenario } from '../scenario.ts';

const RATE = 3000;
const SESSION = { KAFKA_SESSION_TIMEOUT_MS: '2000' };
const POINTS = ['insert_before', 'insert_after', 'commit_before', 'commit_between', 'worker'] as const;
/** At these it dies while it takes over what the one before left: rows without a ledger row. */
const TAKE_OVER_POINTS = ['read_back', 'recompute'] as const;
const KILL_MS = 40_000;

export const everyFailpoint: Scenario = {
  id: 'F2',
  title: 'kill at every failpoint',
  sabotages: ['commit_before_ack', 'skip_read_back', 'skip_recomputation'],
  async run(chaos) {
    await chaos.createTopic();
    const member = await chaos.createMember({ settings: SESSION });
    const load = await chaos.startLoad({ rate: RATE });
    for (let round = 1; round <= chaos.pick(1, 5); round++) {
      for (const point of POINTS) await dieAt(chaos, member, `${point}:kill@${chaos.random.between(1, 5)}`);
      for (const point of TAKE_OVER_POINTS) {
        await dieAt(chaos, member, `insert_after:kill@${chaos.random.between(1, 3)}`);
        await dieAt(chaos, member, `${point}:kill@1`);
      }
    }
    await member.start();
    await chaos.firstInsert(member);
    await load.stop();
    await chaos.verify();
  },
};

/** The safeguards are on where it dies while it takes over: only so are these points reached. */
async function dieAt(chaos: Chaos, member: Member, failpoints: string): Promise<void> {
  chaos.fault(failpoints);
  await member.start(failpoints, { isWhole: /^(read_back|recompute):/.test(failpoints) });
  const isDead = await chaos.eventually(() => !member.isRunning, `${failpoints} is reached`, KILL_MS);
  if (isDead)
    chaos.expect((await member.exited).signal === 'SIGKILL', `${failpoints}: it ended in another way`);
  await member.kill();
}
