/**
 * F15: a process is stopped in the middle of an insert for longer than its session, another takes its lanes over, and
 * then it goes on: its rows are refused.
 */
import type { Store } from '../../../src/store/clickhouse-client.ts';
import type { Scenario } from '../scenario.ts';

const RATE = 3000;
const SESSION = { KAFKA_SESSION_TIMEOUT_MS: '3000' };
const STOP_MS = 40_000;

export const pausedOwner: Scenario = {
  id: 'F15',
  title: 'own process stopped past its session in the middle of an insert, then continued',
  sabotages: ['skip_guard'],
  async run(chaos) {
    await chaos.createTopic();
    const clickhouse = await chaos.startClickHouse();
    const { store } = clickhouse;
    const spec = { command: 'process', clickhouse, settings: SESSION } as const;
    const paused = await chaos.createMember(spec);
    const other = await chaos.createMember(spec);
    await other.start();
    await other.ready();
    const load = await chaos.startLoad({ rate: RATE });
    for (let round = 1; round <= chaos.pick(1, 5); round++) {
      const point = `insert_before:stop@${chaos.random.between(3, 12)}`;
      chaos.fault(`SIGSTOP to program 1 by ${point}`);
      await paused.start(point);
      await chaos.eventually(
        () => paused.isRunning && paused.isStopped,
        'program 1 has stopped itself',
        STOP_MS,
      );
      const pausedAt = Date.now();
      // Its lanes stand still until the group has given them to the other one.
      const end = await laneEnds(store);
      await chaos.eventually(async () => {
        const now = await laneEnds(store);
        return [...end].every(([partition, offset]) => (now.get(partition) ?? 0) > offset);
      }, 'program 2 goes on with all lanes');
      chaos.figure('take_over_ms', Date.now() - pausedAt);
      chaos.expect(paused.saidSince(pausedAt, 'silent'), '/readyz of a stopped program must be silent');
      chaos.fault('SIGCONT to program 1');
      paused.signal('SIGCONT');
      await paused.ready();
      await chaos.pause(1000, 3000);
      const { code } = await paused.stop();
      chaos.expect(code === 0, `program 1 ended with ${code}`);
    }
    await load.stop();
    await chaos.verify({ store, member: other });
  },
};

async function laneEnds(store: Store): Promise<Map<number, number>> {
  const rows = await store.query<{ partition: number; last: number }>(
    'SELECT partition, max(offset) AS last FROM logs GROUP BY partition',
  );
  return new Map(rows.map(({ partition, last }) => [partition, last]));
}
