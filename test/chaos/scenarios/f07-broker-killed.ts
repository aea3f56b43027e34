/** F7: the broker is killed under load and comes back on the same data. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';
import { warmUp } from './bus-steps.ts';

const RATE = 2000;

export const brokerKilled: Scenario = {
  id: 'F7',
  title: 'the broker is killed and started again',
  async run(chaos) {
    const broker = await chaos.ownBroker();
    const member = await chaos.startProgram();
    const before = await warmUp(chaos, member);
    for (let round = 1; round <= chaos.pick(1, 3); round++) {
      const load = await chaos.startLoad({ rate: RATE });
      await load.sent(2 * RATE + chaos.random.below(RATE));
      const killedAt = Date.now();
      chaos.fault('SIGKILL to the broker');
      await broker.kill();
      await delay(chaos.pick(14_000, 30_000));
      chaos.expect(member.saidSince(killedAt, 'kafka_unavailable'), '/readyz did not say kafka_unavailable');
      await broker.restart();
      chaos.fault('the broker is back');
      await chaos.expectReadyAgain(member);
      // Its retries may have run out.
      await load.stop({ mayFail: true });
      const more = await chaos.startLoad({ rate: 0, count: 5000 });
      await more.finished();
    }
    await chaos.verify();
    await chaos.verifyResources(member, before);
  },
};
