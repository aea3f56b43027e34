/** F5: parse workers exit, throw and run out of memory; the program itself goes on. */
import type { Scenario } from '../scenario.ts';

const SHORT_RATE = 3000;
const LONG_RATE = 4000;
const SINGLE = ['exit', 'throw', 'oom'] as const;
/** Tasks between two deaths: a chunk that two workers in a row die of would be taken for poison. */
const LEAST_GAP = 8;
const MOST_GAP = 20;
/** Tasks of the warm-up, which nobody may die of. */
const WARM_UP_TASKS = 600;
const DEATHS_MS = 300_000;

export const dyingWorkers: Scenario = {
  id: 'F5',
  title: 'parse workers exit, throw and run out of memory',
  async run(chaos) {
    await chaos.createTopic();
    const member = await chaos.createMember({ settings: { WORKERS: '2' } });
    const entries: string[] = [];
    let hit = chaos.pick(0, WARM_UP_TASKS);
    for (let round = 1; round <= chaos.pick(1, 6); round++) {
      for (const action of SINGLE) {
        hit += chaos.random.between(LEAST_GAP, MOST_GAP);
        entries.push(`worker:${action}@${hit}`);
      }
    }
    chaos.fault(entries.join(', '));
    await member.start(entries.join(','));
    await member.ready();
    // One for each task that a worker had in hand.
    const deaths = (): Promise<number> => member.counter('millrace_worker_deaths_total');
    const before = chaos.scale === 'long' ? await chaos.warmUp(member) : undefined;
    chaos.expect((await deaths()) === 0, 'a worker died in the warm-up');
    const since = Date.now();
    const load = await chaos.startLoad({ rate: chaos.pick(SHORT_RATE, LONG_RATE) });
    await chaos.eventually(
      async () => (await deaths()) >= entries.length,
      `${entries.length} workers died`,
      DEATHS_MS,
    );
    await load.stop();
    await chaos.verify();
    chaos.figure('worker_deaths', await deaths());
    chaos.expect(member.isRunning && member.startCount === 1, 'the program itself did not go on');
    // On a machine with too much to do the broker, or the answer itself, may be late.
    chaos.expectNoAlarm(member, { sinceMs: since, allowed: chaos.pick(['kafka_unavailable', 'silent'], []) });
    if (before !== undefined) await chaos.verifyResources(member, before);
  },
};
