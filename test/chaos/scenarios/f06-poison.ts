/** F6: records that kill every worker that parses them: they alone become dead letters, and other lanes go on. */
import { setTimeout as delay } from 'node:timers/promises';
import { POISON_MARK } from '../../../src/failpoints.ts';
import type { Store } from '../../../src/store/clickhouse-client.ts';
import { kafkaClient } from '../../support/kafka.ts';
import type { Scenario } from '../scenario.ts';

const SHORT_RATE = 1500;
const LONG_RATE = 2500;
const REASON = 'poison_record';
const POLL_MS = 100;
/** Longest time that the lanes without poison may stand still. */
const MAX_STALL_MS = 10_000;
const LETTER_MS = 60_000;

export const poison: Scenario = {
  id: 'F6',
  title: 'records that kill the worker that parses them',
  sabotages: ['drop_letter_bytes'],
  async run(chaos) {
    const topic = await chaos.createTopic();
    const member = await chaos.createMember({ settings: { WORKERS: '2' } });
    await member.start('poison:exit');
    await member.ready();
    const before = chaos.scale === 'long' ? await chaos.warmUp(member) : undefined;
    const since = Date.now();
    const load = await chaos.startLoad({ rate: chaos.pick(SHORT_RATE, LONG_RATE) });
    await chaos.firstInsert(member);
    const store = (await member.embeddedStore())!;
    const count = chaos.pick(1, 5);
    const partition = chaos.random.below(4);
    const value = JSON.stringify({ level: 'INFO', service: 'poison', host: 'p', message: POISON_MARK });
    const producer = kafkaClient(chaos.brokers).producer();
    await producer.connect();
    chaos.atEnd(() => producer.disconnect());
    for (let sent = 1; sent <= count; sent++) {
      chaos.fault(`poison record ${sent} into partition ${partition}`);
      await producer.send({ topic, messages: [{ partition, value }] });
      const stallMs = await longestStall(store, partition, sent);
      chaos.figure('longest_stall_of_other_lanes_ms', stallMs);
      chaos.expect(stallMs < MAX_STALL_MS, `the other lanes stood still for ${stallMs} ms`);
    }
    await load.stop();
    const isPoison = (bytes: Uint8Array | null | undefined): boolean =>
      Buffer.from(bytes ?? []).includes(POISON_MARK);
    await chaos.verify({
      fateOf: ({ foreign }) => (isPoison(foreign?.value) ? { deadLetter: REASON } : undefined),
    });
    chaos.expect(member.isRunning && member.startCount === 1, 'the program itself did not go on');
    // On a machine with too much to do the broker, or the answer itself, may be late.
    chaos.expectNoAlarm(member, { sinceMs: since, allowed: chaos.pick(['kafka_unavailable', 'silent'], []) });
    if (before !== undefined) await chaos.verifyResources(member, before);
  },
};

/** Until so many dead letters are there: the longest time in which no row of another partition came in. */
async function longestStall(store: Store, partition: number, letterCount: number): Promise<number> {
  const sql = `SELECT (SELECT count() FROM dead_letters) AS letters,
    (SELECT count() FROM logs WHERE partition != {partition:UInt16}) AS rows`;
  let last = { rows: -1, atMs: Date.now() };
  let longest = 0;
  for (const end = Date.now() + LETTER_MS; Date.now() < end; await delay(POLL_MS)) {
    const [seen] = await store.query<{ letters: number; rows: number }>(sql, { partition });
    const now = Date.now();
    longest = Math.max(longest, now - last.atMs);
    if (seen !== undefined && seen.rows !== last.rows) last = { rows: seen.rows, atMs: now };
    if (seen?.letters === letterCount) return longest;
  }
  return longest;
}
