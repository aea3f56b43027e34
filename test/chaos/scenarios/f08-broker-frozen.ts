/** F8: the broker stands still, its connections open, and then goes on. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';
import { warmUp } from './bus-steps.ts';

const RATE = 2000;
/** A request must first run out (10 s). */
const NOTICED_MS = 20_000;

export const brokerFrozen: Scenario = {
  id: 'F8',
  title: 'the broker stands still (SIGSTOP) and goes on',
  async run(chaos) {
    const broker = await chaos.ownBroker();
    const member = await chaos.startProgram();
    const before = await warmUp(chaos, member);
    const load = await chaos.startLoad({ rate: RATE });
    await load.sent(RATE + chaos.random.below(RATE));
    const frozenAt = Date.now();
    chaos.fault('SIGSTOP to the broker');
    broker.freeze();
    const hasSaid = (): boolean => member.saidSince(frozenAt, 'kafka_unavailable');
    await chaos.eventually(hasSaid, '/readyz says kafka_unavailable', NOTICED_MS);
    await delay(chaos.pick(1000, 45_000));
    broker.thaw();
    chaos.fault('SIGCONT to the broker');
    await chaos.expectReadyAgain(member);
    await load.stop({ mayFail: true });
    const more = await chaos.startLoad({ rate: 0, count: 5000 });
    await more.finished();
    await chaos.verify();
    await chaos.verifyResources(member, before);
  },
};
