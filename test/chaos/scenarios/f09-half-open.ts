/** F9: the broker has forgotten the connections of the program, and nobody tells the program. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';
import { startBehindLink, warmUp } from './bus-steps.ts';

const RATE = 2000;
/** From the healing of the link to the first new row: a request must first run out (10 s). */
const MAX_RECOVERY_MS = 25_000;

export const halfOpen: Scenario = {
  id: 'F9',
  title: 'half-open TCP to the broker',
  async run(chaos) {
    const { link, member } = await startBehindLink(chaos);
    const before = await warmUp(chaos, member);
    const load = await chaos.startLoad({ rate: RATE });
    for (const downMs of chaos.pick([300], [300, 15_000, 60_000])) {
      await chaos.firstInsert(member);
      const brokenAt = Date.now();
      chaos.fault(`the link is half-open for ${downMs} ms`);
      link.set({ isHalfOpen: true });
      await delay(downMs);
      if (downMs >= 15_000) {
        chaos.expect(
          member.saidSince(brokenAt, 'kafka_unavailable'),
          '/readyz did not say kafka_unavailable',
        );
      }
      link.set({});
      // What was fetched before is still being stored.
      await delay(1500);
      const recoveryMs = 1500 + (await chaos.firstInsert(member));
      chaos.figure('recovery_ms', recoveryMs);
      chaos.expect(
        recoveryMs < MAX_RECOVERY_MS,
        `first insert ${recoveryMs} ms after the link was good again`,
      );
      await chaos.expectReadyAgain(member);
    }
    chaos.expect(link.counts.halfOpen > 0, 'no connection was left half-open');
    await load.stop();
    await chaos.verify();
    await chaos.verifyResources(member, before);
  },
};
