/**
 * F3: the rows of an insert are stored and its answer is held back, or the second half of its body is: then the program
 * is killed or its connections are cut, and what was held goes on to arrive.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Store } from '../../../src/store/clickhouse-client.ts';
import { until } from '../../support/until.ts';
import type { Chaos } from '../chaos.ts';
import { type ProxiedProgram, startProxiedProgram } from '../faults/proxied-program.ts';
import type { StoreFault, StruckInsert } from '../faults/store-proxy.ts';
import type { Scenario } from '../scenario.ts';

const SHORT_RATE = 2000;
const LONG_RATE = 2500;
const STRUCK_MS = 30_000;
/** The group waits for the session of the dead member to end. */
const CLAIMED_MS = 60_000;
const STORED = 200;
/** The program notices by itself, without an answer, that nothing moves. */
const NO_PROGRESS_MS = 40_000;

type Round = (chaos: Chaos, program: ProxiedProgram) => Promise<void>;

async function strike({ proxy }: ProxiedProgram, table: string, fault: StoreFault): Promise<StruckInsert> {
  const before = proxy.struck.length;
  proxy.strikeNext(table, fault);
  await until(() => proxy.struck.length > before, { timeoutMs: STRUCK_MS, seen: () => proxy.struck });
  const struck = proxy.struck[before];
  if (struck === undefined) throw new Error('no insert was struck');
  return struck;
}

async function revocationCount(store: Store): Promise<number> {
  const [row] = await store.query<{ count: number }>('SELECT count() AS count FROM lane_revocations');
  return row?.count ?? 0;
}

const killWhileHeld: Round = async (chaos, program) => {
  const table = chaos.random.pick(['logs', 'logs', 'ledger']);
  await strike(program, table, { kind: 'hold' });
  chaos.fault(`answer of an insert into ${table} held, kill -9`);
  await program.member.kill();
  program.proxy.release();
  await program.member.start();
};

const cutWhileHeld: Round = async (chaos, program) => {
  await strike(program, 'logs', { kind: 'hold' });
  await delay(chaos.random.between(0, 1000));
  chaos.fault('answer of an insert into logs held, all connections cut');
  program.proxy.cutAll();
  program.proxy.release();
};

const killWhileStalled: Round = async (chaos, program) => {
  const { member, proxy, store } = program;
  // Whoever takes over sees an insert that has begun and waits for it; of one that still travels he knows nothing.
  const at = chaos.sabotage === 'skip_guard' ? 'start' : chaos.random.pick(['start', 'body'] as const);
  const struck = await strike(program, 'logs', { kind: 'stall', at });
  const what = at === 'start' ? 'an insert' : 'the second half of an insert';
  chaos.fault(`${what} held, kill -9, it arrives when its lanes have been taken over`);
  await member.kill();
  const before = await revocationCount(store);
  const insert = chaos.firstInsert(store);
  await member.start();
  // Only from then on is it too late for the dead program's insert.
  await until(async () => (await revocationCount(store)) > before, { timeoutMs: CLAIMED_MS });
  if (at === 'start') await insert;
  else await delay(chaos.random.between(0, 1000));
  proxy.release();
  await until(() => struck.isOver, { timeoutMs: STRUCK_MS });
  chaos.expect(
    struck.status !== STORED,
    "the dead program's insert was acknowledged after its lane was taken over",
  );
  await insert;
};

const untilNoticed: Round = async (chaos, { member, proxy, ...program }) => {
  const heldAt = Date.now();
  await strike({ member, proxy, ...program }, 'logs', { kind: 'hold' });
  chaos.fault('answer of an insert into logs held until /readyz tells');
  await chaos.eventually(
    () => member.saidSince(heldAt, 'no_progress'),
    '/readyz says no_progress while an insert is not answered',
    NO_PROGRESS_MS,
  );
  proxy.release();
};

export const heldAnswer: Scenario = {
  id: 'F3',
  title: 'answer or body of an insert held back, then a kill or a cut',
  sabotages: ['skip_read_back', 'skip_guard'],
  async run(chaos) {
    const program = await startProxiedProgram(chaos);
    const { member, clickhouse, store } = program;
    const before = chaos.scale === 'long' ? await chaos.warmUp(member, { clickhouse }) : undefined;
    const load = await chaos.startLoad({ rate: chaos.pick(SHORT_RATE, LONG_RATE) });
    await chaos.firstInsert(store);
    const rounds = [killWhileHeld, cutWhileHeld, killWhileStalled];
    const short = [chaos.random.pick([killWhileHeld, cutWhileHeld]), killWhileStalled];
    const all = chaos.pick(short, [...rounds, ...rounds, ...rounds, ...rounds, untilNoticed]);
    for (const round of all) {
      await round(chaos, program);
      await chaos.firstInsert(store);
      await delay(chaos.random.between(0, 1500));
    }
    await load.stop();
    await chaos.eventually(() => member.state === 'ready', 'the program is ready again');
    await chaos.verify({ store });
    // Of the last start, which has seen the last of the cuts: it is measured by the first.
    if (before !== undefined) await chaos.verifyResources(member, before);
  },
};
