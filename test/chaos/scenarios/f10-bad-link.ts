/** F10: the link to the broker is slow and resets connections at random. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';
import { startBehindLink, warmUp } from './bus-steps.ts';

const SHORT_RATE = 1000;
const LONG_RATE = 2000;
const SLOW = { bytesPerSecond: 1_500_000, latencyMs: 30 };
/** Slower than what comes in: a fetch takes longer than a request may. */
const VERY_SLOW = { bytesPerSecond: 250_000, latencyMs: 100 };
const SHORT_BYTES_TO_RESET = 150_000;
const LONG_BYTES_TO_RESET = 500_000;

export const badLink: Scenario = {
  id: 'F10',
  title: 'a slow and resetting link to the broker',
  async run(chaos) {
    const { link, member } = await startBehindLink(chaos);
    const before = await warmUp(chaos, member);
    const load = await chaos.startLoad({ rate: chaos.pick(SHORT_RATE, LONG_RATE) });
    await chaos.firstInsert(member);
    const phaseMs = chaos.pick(4000, 90_000);
    const badAt = Date.now();
    const meanBytesToReset = chaos.pick(SHORT_BYTES_TO_RESET, LONG_BYTES_TO_RESET);
    chaos.fault(`slow, and reset every ${meanBytesToReset} bytes or so`);
    link.set({ ...SLOW, meanBytesToReset });
    await delay(phaseMs);
    chaos.expect(link.counts.reset > 0, 'no connection was reset');
    chaos.figure('resets', link.counts.reset);
    chaos.fault('very slow');
    link.set(VERY_SLOW);
    // What was fetched before is still being stored; then rows must go on coming in.
    await delay(phaseMs);
    const progressMs = await chaos.firstInsert(member, 60_000);
    chaos.figure('progress_when_very_slow_ms', progressMs);
    // A link that is bad for a moment only need not be told.
    if (chaos.scale === 'long') {
      const hasSaid = member.saidSince(badAt, 'kafka_unavailable');
      chaos.expect(hasSaid, '/readyz did not say kafka_unavailable while the link was bad');
    }
    chaos.fault('a good link again');
    link.set({});
    await chaos.expectReadyAgain(member);
    await load.stop();
    await chaos.verify();
    await chaos.verifyResources(member, before);
  },
};
