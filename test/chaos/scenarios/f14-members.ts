/** F14: members join and leave the group faster than it comes to rest. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Chaos } from '../chaos.ts';
import type { Member } from '../member.ts';
import type { Scenario } from '../scenario.ts';

const RATE = 2000;
const CHANGE_MS = 3000;
const MAX_MEMBERS = 3;
const PARTITIONS = 6;
/** The session of a killed member lasts 45 s. */
const SETTLE_MS = 120_000;
/**
 * What a member says until it is in the group, and when the group changes under a commit; `silent`: a machine with too
 * much to do answers late.
 */
const OF_CHANGES = ['down', 'silent', 'starting', 'kafka_unavailable', 'commit_failed'];

export const members: Scenario = {
  id: 'F14',
  title: 'members are added and removed every 3 s',
  async run(chaos) {
    await chaos.createTopic(PARTITIONS);
    const clickhouse = await chaos.startClickHouse();
    const add = async (): Promise<Member> => {
      const member = await chaos.createMember({ command: 'process', clickhouse });
      await member.start();
      return member;
    };
    const first = await add();
    await first.ready();
    const before = chaos.scale === 'long' ? await chaos.warmUp(first, { clickhouse }) : undefined;
    const sinceMs = Date.now();
    const load = await chaos.startLoad({ rate: RATE });
    const present: Member[] = [first];
    const leaving: Promise<unknown>[] = [];
    const leftAt = new Map<Member, number>();
    const endAt = Date.now() + chaos.pick(12_000, 120_000);
    while (Date.now() < endAt) {
      if (present.length < 2 || (present.length < MAX_MEMBERS && chaos.random.isTrue(0.5))) {
        present.push(await add());
        chaos.fault(`${present.at(-1)?.name ?? ''} is added`);
      } else {
        const [gone] = present.splice(chaos.random.below(present.length), 1);
        if (gone !== undefined) {
          leftAt.set(gone, Date.now());
          leaving.push(leave(chaos, gone));
        }
      }
      await delay(CHANGE_MS);
    }
    await load.stop();
    await Promise.all(leaving);
    // What the oracle asks of ClickHouse is no part of the fault.
    const overAt = Date.now();
    await chaos.verify({ store: clickhouse.store, settleMs: SETTLE_MS });
    for (const member of present) chaos.expect(member.state === 'ready', `${member.name} is ${member.state}`);
    for (const member of chaos.members) {
      const untilMs = leftAt.get(member) ?? overAt;
      chaos.expectNoAlarm(member, { sinceMs, untilMs, allowed: OF_CHANGES });
    }
    // The first may have gone; those that are there have been through as many changes as they are old. None may need
    // more than the first did when it had all lanes and a backlog.
    if (before === undefined) return;
    for (const member of present) await chaos.verifyResources(member, before);
  },
};

/** In order; in the long form also without a word. */
async function leave(chaos: Chaos, member: Member): Promise<void> {
  if (chaos.scale === 'long' && chaos.random.isTrue(0.2)) {
    chaos.fault(`kill -9 of ${member.name}`);
    return await member.kill();
  }
  chaos.fault(`SIGTERM to ${member.name}`);
  const { code } = await member.stop();
  chaos.expect(code === 0, `${member.name} ended with ${code} after SIGTERM`);
}
