/**
 * F12: a share of the inserts, chosen by the seed, is answered with an error, with half an answer, or with an exception
 * under status 200: some of them never reached ClickHouse, the others are stored in spite of it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import { FAKE_ANSWERS } from '../faults/fake-answers.ts';
import { startProxiedProgram } from '../faults/proxied-program.ts';
import { type StoreFault, type StoreProxy, seededFaults } from '../faults/store-proxy.ts';
import type { Scenario } from '../scenario.ts';

const SHORT_RATE = 1500;
const LONG_RATE = 2500;
/** The rows themselves, and all that the exactly-once promise is kept with. */
const TABLES = ['logs', 'dead_letters', 'ledger', 'lane_claims', 'lane_revocations'];
const FAULTS: readonly StoreFault[] = [
  ...FAKE_ANSWERS.flatMap((answer) => [
    { kind: 'answer', answer, isStored: false } as const,
    { kind: 'answer', answer, isStored: true } as const,
  ]),
  { kind: 'cut', at: 'request' },
  { kind: 'cut', at: 'answer' },
];
const OUTAGE_MS = 3000;
const STRUCK_MS = 300_000;

/** Inserts of rows that met a false answer, and were stored in spite of it or not. */
function deniedCount({ struck }: StoreProxy, isStored: boolean): number {
  return struck.filter(({ table, status }) => table === 'logs' && (status === 200) === isStored).length;
}

export const fakeAnswers: Scenario = {
  id: 'F12',
  title: 'a ClickHouse that answers 500, 252, 241, half a body, 200 with an exception',
  sabotages: ['skip_read_back'],
  async run(chaos) {
    const { member, proxy, store, clickhouse } = await startProxiedProgram(chaos);
    const before = chaos.scale === 'long' ? await chaos.warmUp(member, { clickhouse }) : undefined;
    const load = await chaos.startLoad({ rate: chaos.pick(SHORT_RATE, LONG_RATE) });
    await chaos.firstInsert(store);
    chaos.fault('one insert in three is answered wrongly');
    proxy.strike(seededFaults({ seed: chaos.seed, share: 1 / 3, tables: TABLES, faults: FAULTS }));
    const least = chaos.pick(2, 40);
    const areEnough = (): boolean => [true, false].every((isStored) => deniedCount(proxy, isStored) >= least);
    await until(areEnough, { timeoutMs: STRUCK_MS, seen: () => proxy.struck.length });
    chaos.fault('every insert into logs is refused with code 241');
    const outageAt = Date.now();
    proxy.strike(({ table }) =>
      table === 'logs' ? { kind: 'answer', answer: 'memory_limit', isStored: false } : undefined,
    );
    await delay(OUTAGE_MS);
    const hasSaid = member.saidSince(outageAt, 'clickhouse_unavailable');
    chaos.expect(hasSaid, '/readyz did not say clickhouse_unavailable while every insert failed');
    chaos.fault('everything passes again');
    proxy.pass();
    await chaos.firstInsert(store);
    await load.stop();
    await chaos.eventually(() => member.state === 'ready', 'the program is ready again');
    chaos.figure('stored_but_denied', deniedCount(proxy, true));
    chaos.figure('denied', deniedCount(proxy, false));
    await chaos.verify({ store });
    if (before !== undefined) await chaos.verifyResources(member, before);
  },
};
