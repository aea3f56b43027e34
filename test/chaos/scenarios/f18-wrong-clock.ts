/**
 * F18: the program's clock is an hour ahead or behind, jumps, or runs ten times faster, while those of Kafka, the
 * producer and ClickHouse are right. It is killed under each, so that lanes are taken over across the jumps.
 */

import { mkdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Chaos } from '../chaos.ts';
import { type ClockSetting, createFakeClock, fakeClockProblem } from '../faults/fake-clock.ts';
import type { Scenario } from '../scenario.ts';

const RATE = 2000;
const HOUR_S = 3600;
const SETTINGS: readonly ClockSetting[] = [
  { offsetSeconds: HOUR_S },
  { offsetSeconds: -HOUR_S },
  { rate: 10 },
];

export const wrongClock: Scenario = {
  id: 'F18',
  title: 'the clock is one hour ahead, behind, or ten times faster',
  obstacle: fakeClockProblem,
  async run(chaos) {
    const directory = await chaos.path('clock');
    await mkdir(directory);
    const clock = await createFakeClock(directory);
    const member = await chaos.startProgram({ environment: clock.environment });
    const before = chaos.scale === 'long' ? await chaos.warmUp(member) : undefined;
    const load = await chaos.startLoad({ rate: RATE });
    await chaos.firstInsert(member);
    const settings = chaos.pick(
      [chaos.random.pick(SETTINGS)],
      [...shuffled(chaos), ...shuffled(chaos), { offsetSeconds: 0 }],
    );
    for (const setting of settings) {
      chaos.fault(`the clock is set: ${JSON.stringify(setting)}`);
      const setAt = Date.now();
      await clock.set(setting);
      await delay(chaos.pick(2000, 60_000));
      // Kafka and ClickHouse are there all the time, and nothing else may be said because of a clock.
      chaos.expectNoAlarm(member, { sinceMs: setAt, allowed: ['silent', 'down'] });
      await chaos.firstInsert(member);
      chaos.fault('kill -9');
      await member.kill();
      await member.start();
      await member.ready();
      await chaos.firstInsert(member);
    }
    await load.stop();
    await chaos.verify();
    // It is killed under each clock: the last start is measured by the first.
    if (before !== undefined) await chaos.verifyResources(member, before);
  },
};

function shuffled(chaos: Chaos): ClockSetting[] {
  const rest = [...SETTINGS];
  const order: ClockSetting[] = [];
  while (rest.length > 0) order.push(...rest.splice(chaos.random.below(rest.length), 1));
  return order;
}
