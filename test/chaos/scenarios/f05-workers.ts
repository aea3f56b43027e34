/** F5: parse workers exit, throw and run out of memory; the program itself goes on. */
import type { Scenario } from '../scenario.ts';

const RATE = 6000;
const SINGLE = ['exit', 'throw', 'oom'] as const;
/** Tasks between two deaths: a chunk that two workers in a row die of would be taken for poison. */
const LEAST_GAP = 8;
const MOST_GAP = 20;

export const dyingWorkers: Scenario = {
  id: 'F5',
  title: 'parse workers exit, throw and run out of memory',
  async run(chaos) {
    await chaos.createTopic();
    const member = await chaos.createMember({ settings: { WORKERS: '2' } });
    const entries: string[] = [];
    let hit = 0;
    for (let round = 1; round <= chaos.pick(1, 6); round++) {
      for (const action of SINGLE) {
        hit += chaos.random.between(LEAST_GAP, MOST_GAP);
        entries.push(`worker:${action}@${hit}`);
      }
    }
    chaos.fault(entries.join(', '));
    await member.start(entries.join(','));
    await member.ready();
    const since = Date.now();
    const load = await chaos.startLoad({ rate: RATE });
    const deaths = (): number => member.printed.split('"event":"worker_died"').length - 1;
    await chaos.eventually(() => deaths() >= entries.length, `${entries.length} workers died`, 120_000);
    await load.stop();
    await chaos.verify();
    chaos.figure('worker_deaths', deaths());
    chaos.expect(member.isRunning && member.startCount === 1, 'the program itself did not go on');
    // On a machine with too much to do the broker itself may be late.
    const usual = ['ready', 'kafka_unavailable'];
    const states = member.statesSince(since).filter((state) => !usual.includes(state));
    chaos.expect(
      states.length === 0,
      `/readyz spoke of ${states.join('; ')}, though nothing was unavailable`,
    );
  },
};
