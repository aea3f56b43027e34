/** F7: the broker is killed under load and comes back on the same data. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';
import { warmUp } from './bus-steps.ts';

const RATE = 2000;
/** A request must first run out (10 s). */
const NOTICED_MS = 20_000;

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
      const hasSaid = (): boolean => member.saidSince(killedAt, 'kafka_unavailable');
      await chaos.eventually(hasSaid, '/readyz says kafka_unavailable', NOTICED_MS);
      await delay(chaos.pick(1000, 15_000));
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
