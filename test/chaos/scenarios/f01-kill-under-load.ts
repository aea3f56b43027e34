/** F1: the program is killed again and again under load. */
import type { Scenario } from '../scenario.ts';

const SHORT_RATE = 1500;
const LONG_RATE = 2500;
/** From the start of the process to the first new row; the short form runs beside other tests. */
const MAX_RESTART_MS = { short: 30_000, long: 15_000 };
/** A restart that waited for the session of the killed member could not meet the demand. The long form has 10 s. */
const LONG_SESSION = { KAFKA_SESSION_TIMEOUT_MS: '60000' };

export const killUnderLoad: Scenario = {
  id: 'F1',
  title: 'kill -9 of the program under load',
  async run(chaos) {
    const maxRestartMs = MAX_RESTART_MS[chaos.scale];
    const settings = chaos.pick<Record<string, string>>(LONG_SESSION, {});
    const member = await chaos.startProgram({ settings });
    const before = chaos.scale === 'long' ? await chaos.warmUp(member) : undefined;
    const load = await chaos.startLoad({ rate: chaos.pick(SHORT_RATE, LONG_RATE) });
    await chaos.firstInsert(member);
    for (let kill = 1; kill <= chaos.pick(2, 20); kill++) {
      await chaos.pause(50, 1500);
      chaos.fault(`kill -9 (${kill})`);
      const killedAt = Date.now();
      await member.kill();
      const insert = chaos.firstInsert(member);
      await member.start();
      const restartMs = await insert;
      chaos.figure('restart_ms', restartMs);
      chaos.expect(restartMs < maxRestartMs, `first insert ${restartMs} ms after the start`);
      await chaos.expectReadyAgain(member, maxRestartMs);
      chaos.expectPlainRestart(member, killedAt);
    }
    await load.stop();
    await chaos.verify();
    if (before !== undefined) await chaos.verifyResources(member, before);
  },
};
