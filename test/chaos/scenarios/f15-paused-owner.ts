/**
 * F15: a process is stopped in the middle of an insert for longer than its session, another takes its lanes over, and
 * then it goes on: its rows are refused.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Store } from '../../../src/store/clickhouse-client.ts';
import type { Chaos } from '../chaos.ts';
import { type StoreProxy, startStoreProxy } from '../faults/store-proxy.ts';
import type { Member } from '../member.ts';
import type { Scenario } from '../scenario.ts';

const RATE = 2000;
const SESSION = { KAFKA_SESSION_TIMEOUT_MS: '3000' };
const STOP_MS = 40_000;
/** The half of an insert that waits in the proxy may hold up the take-over: it goes on after this in any case. */
const HALF_MS = 10_000;

interface Pair {
  readonly paused: Member;
  /** Between the paused program and ClickHouse. */
  readonly proxy: StoreProxy;
  readonly store: Store;
}

/** Its blocks are joined, nothing was sent: the insert as a whole comes late. */
async function stopBefore(chaos: Chaos, { paused, store }: Pair): Promise<void> {
  const point = `insert_before:stop@${chaos.random.between(3, 12)}`;
  chaos.fault(`SIGSTOP to program 1 by ${point}`);
  await paused.start(point);
  await chaos.eventually(() => paused.isRunning && paused.isStopped, 'program 1 has stopped itself', STOP_MS);
  const pausedAt = Date.now();
  await chaos.eventually(await takeOver(store), 'program 2 goes on with all lanes');
  chaos.figure('take_over_ms', Date.now() - pausedAt);
  chaos.expect(paused.saidSince(pausedAt, 'silent'), '/readyz of a stopped program must be silent');
}

/** Half of the body has arrived; the other half comes late. */
async function stopHalfway(chaos: Chaos, { paused, proxy, store }: Pair): Promise<void> {
  await paused.start();
  await paused.ready();
  const before = proxy.struck.length;
  proxy.strikeNext('logs', { kind: 'stall', at: 'body' });
  await chaos.eventually(() => proxy.struck.length > before, 'half of an insert has arrived', STOP_MS);
  chaos.fault('SIGSTOP to program 1 in the middle of the body of an insert');
  paused.signal('SIGSTOP');
  await Promise.race([
    chaos.eventually(await takeOver(store), 'program 2 goes on with all lanes'),
    delay(HALF_MS),
  ]);
  proxy.release();
  await chaos.eventually(() => (proxy.struck[before]?.status ?? 0) > 0, 'the late half is answered');
  const { status } = proxy.struck[before] ?? {};
  chaos.expect(status !== 200, 'the late half of an insert was accepted');
  await chaos.eventually(await takeOver(store), 'program 2 goes on with all lanes');
}

export const pausedOwner: Scenario = {
  id: 'F15',
  title: 'own process stopped past its session in the middle of an insert, then continued',
  sabotages: ['skip_guard'],
  async run(chaos) {
    await chaos.createTopic();
    const clickhouse = await chaos.startClickHouse();
    const { store } = clickhouse;
    const proxy = await startStoreProxy(clickhouse.connection);
    chaos.atEnd(() => proxy.stop());
    const spec = { command: 'process', settings: SESSION } as const;
    const paused = await chaos.createMember({ ...spec, clickhouse: { ...clickhouse, url: proxy.url } });
    const other = await chaos.createMember({ ...spec, clickhouse });
    await other.start();
    await other.ready();
    const before = chaos.scale === 'long' ? await chaos.warmUp(other, { clickhouse }) : undefined;
    const load = await chaos.startLoad({ rate: RATE });
    // Without the guard the late insert as a whole is the sure sign.
    const rounds =
      chaos.sabotage === undefined
        ? chaos.pick([chaos.random.pick([stopBefore, stopHalfway])], ALL_ROUNDS)
        : [stopBefore];
    for (const round of rounds) {
      await round(chaos, { paused, proxy, store });
      chaos.fault('SIGCONT to program 1');
      paused.signal('SIGCONT');
      await paused.ready();
      await chaos.pause(1000, 3000);
      const { code } = await paused.stop();
      chaos.expect(code === 0, `program 1 ended with ${code}`);
    }
    await load.stop();
    await chaos.verify({ store, member: other });
    // The paused program is a new one in each round; the other lives all the time, and took its lanes again and again.
    if (before !== undefined) await chaos.verifyResources(other, before);
  },
};

const ALL_ROUNDS = [stopBefore, stopHalfway, stopBefore, stopHalfway];

/** Holds once rows have come into every lane that has any now. */
async function takeOver(store: Store): Promise<() => Promise<boolean>> {
  const ends = await laneEnds(store);
  return async () => {
    const now = await laneEnds(store);
    return [...ends].every(([partition, offset]) => (now.get(partition) ?? 0) > offset);
  };
}

async function laneEnds(store: Store): Promise<Map<number, number>> {
  const rows = await store.query<{ partition: number; last: number }>(
    'SELECT partition, max(offset) AS last FROM logs GROUP BY partition',
  );
  return new Map(rows.map(({ partition, last }) => [partition, last]));
}
