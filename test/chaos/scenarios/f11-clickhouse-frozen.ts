/** F11: ClickHouse is stopped (SIGSTOP) under load, in the middle of whatever it does, and goes on later. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';

const SHORT_RATE = 1500;
const LONG_RATE = 2500;
/** The look at the disk notices first: every 5 s, given up after 5 s. */
const NOTICED_MS = 12_000;

export const clickhouseFrozen: Scenario = {
  id: 'F11',
  title: 'ClickHouse stands still',
  async run(chaos) {
    const member = await chaos.startProgram();
    const before = chaos.scale === 'long' ? await chaos.warmUp(member) : undefined;
    const load = await chaos.startLoad({ rate: chaos.pick(SHORT_RATE, LONG_RATE) });
    await chaos.firstInsert(member);
    await delay(chaos.random.between(200, 1500));
    const pid = await member.clickhousePid();
    const frozenAt = Date.now();
    process.kill(pid, 'SIGSTOP');
    chaos.fault('SIGSTOP of ClickHouse');
    const hasSaid = (): boolean => member.saidSince(frozenAt, 'clickhouse_unavailable');
    await chaos.eventually(
      hasSaid,
      '/readyz says clickhouse_unavailable while ClickHouse stands still',
      NOTICED_MS,
    );
    await delay(Math.max(0, frozenAt + chaos.pick(10_000, 60_000) - Date.now()));
    chaos.expect(
      member.state !== 'ready',
      `/readyz said ready while ClickHouse stood still: ${member.state}`,
    );
    if (chaos.scale === 'long') {
      chaos.expect(member.saidSince(frozenAt, 'no_progress'), '/readyz did not say no_progress within 60 s');
    }
    chaos.fault('SIGCONT');
    process.kill(pid, 'SIGCONT');
    await chaos.firstInsert(member);
    await load.stop();
    await chaos.eventually(() => member.state === 'ready', 'the program is ready again');
    await chaos.verify();
    if (before !== undefined) await chaos.verifyResources(member, before);
  },
};
