/**
 * F3: the rows of an insert are stored and its answer is held back, or the second half of its body is: then the program
 * is killed or its connections are cut, and what was held goes on to arrive.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import type { Chaos } from '../chaos.ts';
import { type ProxiedProgram, startProxiedProgram } from '../faults/proxied-program.ts';
import type { Scenario } from '../scenario.ts';

const RATE = 4000;
const STRUCK_MS = 30_000;
/** What still travels arrives when the next program has been at work for a while, or is waiting for it. */
const LATE_MS = 5000;
const GUARD_REFUSES = 500;
/** The program notices by itself, without an answer, that nothing moves. */
const NO_PROGRESS_MS = 40_000;

type Round = (chaos: Chaos, program: ProxiedProgram) => Promise<void>;

async function strike(
  { proxy }: ProxiedProgram,
  table: string,
  kind: 'hold' | 'stall',
): Promise<() => number> {
  const before = proxy.struck.length;
  proxy.strikeNext(table, { kind });
  await until(() => proxy.struck.length > before, { timeoutMs: STRUCK_MS, seen: () => proxy.struck });
  return () => proxy.struck[before]?.status ?? 0;
}

const killWhileHeld: Round = async (chaos, program) => {
  const table = chaos.random.pick(['logs', 'logs', 'ledger']);
  await strike(program, table, 'hold');
  chaos.fault(`answer of an insert into ${table} held, kill -9`);
  await program.member.kill();
  program.proxy.release();
  await program.member.start();
};

const cutWhileHeld: Round = async (chaos, program) => {
  await strike(program, 'logs', 'hold');
  await delay(chaos.random.between(0, 1000));
  chaos.fault('answer of an insert into logs held, all connections cut');
  program.proxy.cutAll();
  program.proxy.release();
};

const killWhileStalled: Round = async (chaos, program) => {
  const { member, proxy, store } = program;
  const status = await strike(program, 'logs', 'stall');
  chaos.fault('second half of an insert held, kill -9, the half arrives after the next start');
  await member.kill();
  const insert = chaos.firstInsert(store);
  await member.start();
  await Promise.race([insert, delay(LATE_MS)]);
  proxy.release();
  await until(() => status() > 0, { timeoutMs: STRUCK_MS });
  chaos.expect(status() === GUARD_REFUSES, `the dead program's insert was answered with ${status()}`);
  await insert;
};

const untilNoticed: Round = async (chaos, { member, proxy, ...program }) => {
  const heldAt = Date.now();
  await strike({ member, proxy, ...program }, 'logs', 'hold');
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
    const load = await chaos.startLoad({ rate: RATE });
    await chaos.firstInsert(program.store);
    const rounds = [killWhileHeld, cutWhileHeld, killWhileStalled];
    const all = chaos.pick(rounds, [...rounds, ...rounds, ...rounds, ...rounds, untilNoticed]);
    for (const round of all) {
      await round(chaos, program);
      await chaos.firstInsert(program.store);
      await delay(chaos.random.between(0, 1500));
    }
    await load.stop();
    await chaos.eventually(() => program.member.state === 'ready', 'the program is ready again');
    await chaos.verify({ store: program.store });
  },
};
