/**
 * F4: ClickHouse is killed exactly before or after the rename that makes a part valid, in every table that an insert of
 * the pipeline writes: rows without their rollups, rollups of one resolution without the other, a ledger row unsaid.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Store } from '../../../src/store/clickhouse-client.ts';
import type { Chaos } from '../chaos.ts';
import { armRenameCrash, straceProblem } from '../faults/rename-crash.ts';
import type { Member } from '../member.ts';
import type { Scenario } from '../scenario.ts';

const RATE = 2000;
const TABLES = ['logs', 'events_1m', 'events_1h', 'host_metrics_1m', 'host_metrics_1h', 'ledger'] as const;
/** Whether `logs` has the rows and a rollup has not is the case that matters most. */
const SHORT_TABLES = ['logs', 'events_1m'] as const;
/** The supervisor waits longer from one exit to the next. */
const RESTART_MS = 45_000;

interface Place {
  readonly table: string;
  readonly at: 'before' | 'after';
  readonly by: 'insert' | 'merge';
}

async function tableUuids(store: Store): Promise<Map<string, string>> {
  const sql = 'SELECT name, toString(uuid) AS uuid FROM system.tables WHERE database = currentDatabase()';
  const rows = await store.query<{ name: string; uuid: string }>(sql);
  return new Map(rows.map(({ name, uuid }) => [name, uuid]));
}

async function crash(chaos: Chaos, member: Member, place: Place): Promise<void> {
  const store = await member.embeddedStore();
  if (store === undefined) throw new Error('The embedded ClickHouse cannot be reached.');
  const uuid = (await tableUuids(store)).get(place.table);
  const armed = await armRenameCrash({
    pid: await member.clickhousePid(),
    at: place.at,
    isIt: ({ by, table }) => by === place.by && table === uuid,
  });
  const armedAt = Date.now();
  const { part } = await armed.struck;
  chaos.fault(
    `killed ${place.at} the rename of ${place.by === 'insert' ? '' : 'merged '}${place.table} ${part}`,
  );
  await chaos.firstInsert(member, RESTART_MS);
  chaos.expect(
    member.saidSince(armedAt, 'clickhouse_unavailable'),
    `/readyz did not say clickhouse_unavailable when ClickHouse was killed at ${place.table}`,
  );
}

function places(chaos: Chaos): Place[] {
  if (chaos.scale === 'short') {
    return SHORT_TABLES.map((table) => ({ table, at: chaos.random.pick(['before', 'after']), by: 'insert' }));
  }
  const inserts = TABLES.flatMap((table) => [
    { table, at: 'before', by: 'insert' } as const,
    { table, at: 'after', by: 'insert' } as const,
  ]);
  const merges = [
    { table: 'logs', at: 'before', by: 'merge' } as const,
    { table: 'events_1m', at: 'after', by: 'merge' } as const,
  ];
  return [...inserts, ...merges];
}

export const killedAtRename: Scenario = {
  id: 'F4',
  title: 'ClickHouse killed exactly at the rename of a part',
  sabotages: ['skip_recomputation', 'skip_read_back'],
  obstacle: straceProblem,
  async run(chaos) {
    const member = await chaos.startProgram();
    const before = chaos.scale === 'long' ? await chaos.warmUp(member) : undefined;
    const load = await chaos.startLoad({ rate: RATE });
    await chaos.firstInsert(member);
    for (const place of places(chaos)) {
      await crash(chaos, member, place);
      await delay(chaos.random.between(0, 1000));
    }
    await load.stop();
    await chaos.eventually(() => member.state === 'ready', 'the program is ready again');
    await chaos.verify();
    if (before !== undefined) await chaos.verifyResources(member, before);
  },
};
