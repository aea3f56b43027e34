/** F20: SIGTERM drains; a second one ends at once; a second program on the same data directory is refused. */
import type { Chaos } from '../chaos.ts';
import type { Member } from '../member.ts';
import type { Scenario } from '../scenario.ts';

const RATE = 1500;
const SESSION = { KAFKA_SESSION_TIMEOUT_MS: '2000' };
const AT_ONCE_MS = 2000;
/** Exit code of a program that a second signal ended. */
const INTERRUPTED = 130;

export const signals: Scenario = {
  id: 'F20',
  title: 'SIGTERM, a second SIGTERM, a second program on the same data directory',
  async run(chaos) {
    const member = await chaos.startProgram({ settings: SESSION });
    const before = chaos.scale === 'long' ? await chaos.warmUp(member) : undefined;
    const load = await chaos.startLoad({ rate: RATE });
    for (let round = 1; round <= chaos.pick(1, 5); round++) {
      await chaos.firstInsert(member);
      await startSecond(chaos, member);
      await chaos.pause(100, 1500);
      await stopOnce(chaos, member);
      await member.start();
      await chaos.firstInsert(member);
      await stopTwice(chaos, member);
      await member.start();
    }
    await chaos.firstInsert(member);
    await load.stop();
    await chaos.verify();
    // Every start before it was ended: the last one is measured by the first.
    if (before !== undefined) await chaos.verifyResources(member, before);
  },
};

async function startSecond(chaos: Chaos, member: Member): Promise<void> {
  chaos.fault('a second program on the same data directory');
  await member.ready();
  const since = Date.now();
  const second = await chaos.createMember({ settings: { ...SESSION, DATA_DIR: member.dataDir } });
  await second.start();
  const { code } = await second.end();
  chaos.expect(code === 1 && second.printed.includes('data_dir_in_use'), `the second ended with ${code}`);
  await chaos.firstInsert(member);
  const others = member.statesSince(since).filter((state) => state !== 'ready');
  chaos.expect(others.length === 0, `the first was harmed: ${others.join('; ')}`);
}

async function stopOnce(chaos: Chaos, member: Member): Promise<void> {
  chaos.fault('SIGTERM');
  const at = Date.now();
  const { code } = await member.stop();
  chaos.figure('drain_ms', Date.now() - at);
  chaos.expect(code === 0, `after SIGTERM it ended with ${code}`);
  chaos.expect(member.printed.includes('"isDrained":true'), 'it did not drain');
}

/** With ClickHouse frozen nothing can be drained. */
async function stopTwice(chaos: Chaos, member: Member): Promise<void> {
  await member.ready();
  chaos.fault('SIGSTOP to ClickHouse, SIGTERM twice');
  process.kill(await member.clickhousePid(), 'SIGSTOP');
  await chaos.pause(500, 1500);
  const since = Date.now();
  member.signal('SIGTERM');
  await chaos.eventually(() => member.saidSince(since, 'stopping'), '/readyz says that it is stopping');
  const at = Date.now();
  member.signal('SIGTERM');
  const { code } = await member.end();
  chaos.expect(Date.now() - at < AT_ONCE_MS, `after the second SIGTERM it took ${Date.now() - at} ms`);
  chaos.expect(code === INTERRUPTED, `after the second SIGTERM it ended with ${code}`);
}
