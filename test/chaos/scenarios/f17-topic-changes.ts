/** F17: Kafka deletes records before they were read; a topic is deleted and created again. */
import { kafkaClient } from '../../support/kafka.ts';
import { until } from '../../support/until.ts';
import type { Chaos, ExternalClickHouse } from '../chaos.ts';
import type { Member } from '../member.ts';
import { readLedger } from '../oracle/ledger.ts';
import { readOffsets, readSources } from '../oracle/oracle.ts';
import type { Fate, FateOf } from '../oracle/rows.ts';
import { mergeTruths, type TopicTruth } from '../oracle/truth.ts';
import type { Scenario } from '../scenario.ts';

const RATE = 2000;
const PARTITIONS = 3;
/** What is in flight when the topic goes: more than is stored, once ClickHouse goes on, before that is noticed. */
const FLOOD_COUNT = 150_000;
/** Topics are looked at every 3 s. */
const NOTICED_MS = 20_000;

export const topicChanges: Scenario = {
  id: 'F17',
  title:
    'retention passes the committed offset; the topic is deleted and created again, also with records in flight',
  async run(chaos) {
    const topic = await chaos.createTopic(PARTITIONS);
    const clickhouse = await chaos.startClickHouse();
    const member = await chaos.startProgram({ clickhouse });
    const resources = chaos.scale === 'long' ? await chaos.warmUp(member, { clickhouse }) : undefined;
    const fates = new Map<string, Fate>();
    const generations: TopicTruth[] = [];
    const changed: Changed = { topic, clickhouse, member, fates, generations };
    for (let round = 1; round <= chaos.pick(1, 3); round++) {
      const before = await loseRecords(chaos, changed);
      await loadAndSettle(chaos);
      const [now] = await chaos.readTruths();
      if (now !== undefined) generations.push(mergeTruths(before, now));
      await createAgain(chaos, changed, { isNoticed: true });
      await loadAndSettle(chaos);
      await createAgainInFlight(chaos, changed);
    }
    generations.push(...(await chaos.readTruths()));
    await chaos.verify({
      store: clickhouse.store,
      truths: generations,
      fateOf: fateOfLost(fates, generations),
    });
    chaos.expect(member.state === 'ready', `${member.name} is ${member.state} at the end`);
    if (resources !== undefined) await chaos.verifyResources(member, resources);
  },
};

interface Changed {
  readonly topic: string;
  readonly clickhouse: ExternalClickHouse;
  readonly member: Member;
  /** Of the records that were deleted unread, by `generation/partition@offset`. */
  readonly fates: Map<string, Fate>;
  /** Those that are no more. */
  readonly generations: TopicTruth[];
}

async function loadAndSettle(chaos: Chaos): Promise<void> {
  const load = await chaos.startLoad({ rate: RATE, count: 2 * RATE });
  await load.finished();
  await chaos.settle();
}

/** While the program is away, records are deleted past what it has committed. Answers what the topic held before. */
async function loseRecords(chaos: Chaos, changed: Changed): Promise<TopicTruth> {
  const { topic, clickhouse, member, fates, generations } = changed;
  const load = await chaos.startLoad({ rate: RATE });
  // A partition of which nothing was ever stored begins where Kafka begins: nothing of it can be known to be lost.
  const isBegun = async (): Promise<boolean> => (await readStoredEnds(clickhouse, topic)).size === PARTITIONS;
  await until(() => isBegun().catch(() => false), { timeoutMs: 60_000 });
  const { code } = await member.stop();
  chaos.expect(code === 0, `${member.name} ended with ${code} after SIGTERM`);
  await load.sent((await load.sentCount()) + RATE);
  await load.stop();
  const [truth] = await chaos.readTruths();
  if (truth === undefined) throw new Error(`${topic} could not be read`);
  const { committed } = await readOffsets({ brokers: chaos.brokers, group: chaos.group, topics: [topic] });
  const storedEnds = await readStoredEnds(clickhouse, topic);
  const partitions = truth.lanes.map(({ partition, endOffset }) => {
    const place = `${topic}/${partition}`;
    const from = storedEnds.get(partition) ?? 0;
    chaos.expect(
      (committed.get(place) ?? 0) === from,
      `after SIGTERM and exit code 0 ${place} is committed to ${committed.get(place)}, stored to ${from}`,
    );
    const to = from + chaos.random.below(Math.max(1, endOffset - from + 1));
    for (let offset = from; offset < to; offset++)
      fates.set(`${generations.length}/${partition}@${offset}`, 'lost');
    return { partition, offset: String(to) };
  });
  chaos.fault(`${partitions.map(({ partition, offset }) => `${partition} → ${offset}`).join(', ')}: deleted`);
  const admin = kafkaClient(chaos.brokers).admin();
  await admin.connect();
  // It does not ask by itself where the topic is.
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions });
  await admin.disconnect();
  await member.start();
  await member.ready();
  return truth;
}

/** Per partition what the present generation of the topic has stored, exclusive. */
async function readStoredEnds({ store }: ExternalClickHouse, topic: string): Promise<Map<number, number>> {
  const rows = await store.query<{ partition: number; end: number }>(
    `SELECT partition, max(offset) + 1 AS end FROM logs
     WHERE source = (SELECT max(number) FROM sources WHERE topic = {topic:String}) GROUP BY partition`,
    { topic },
  );
  return new Map(rows.map(({ partition, end }) => [partition, end]));
}

/**
 * ClickHouse stands still when the topic goes: what the ledger did not know by then went with the topic, whether its
 * insert still arrives or not, and all the rest must be there.
 */
async function createAgainInFlight(chaos: Chaos, changed: Changed): Promise<void> {
  const { topic, clickhouse, fates, generations } = changed;
  const { store } = clickhouse;
  const load = await chaos.startLoad({ rate: RATE });
  await chaos.firstInsert(store);
  chaos.fault('SIGSTOP to ClickHouse');
  clickhouse.freeze();
  const flood = await chaos.startLoad({ rate: 0, count: FLOOD_COUNT });
  await Promise.all([load.stop(), flood.finished()]);
  const [truth] = await chaos.readTruths();
  if (truth === undefined) throw new Error(`${topic} could not be read`);
  const generation = generations.push(truth) - 1;
  const { committed } = await readOffsets({ brokers: chaos.brokers, group: chaos.group, topics: [topic] });
  await createAgain(chaos, changed, { isNoticed: false });
  chaos.fault('SIGCONT to ClickHouse');
  clickhouse.thaw();
  await loadAndSettle(chaos);
  const source = (await readSources(store)).get(topic)?.[generation] ?? 0;
  let goneCount = 0;
  for (const { partition, firstOffset, endOffset } of truth.lanes) {
    const known = (await readLedger(store, { source, partition })).at(-1)?.to_offset ?? firstOffset;
    const safe = committed.get(`${topic}/${partition}`) ?? 0;
    chaos.expect(
      known >= safe,
      `${topic}/${partition} was committed to ${safe}, the ledger ends at ${known}`,
    );
    for (let offset = known; offset < endOffset; offset++)
      fates.set(`${generation}/${partition}@${offset}`, 'gone');
    goneCount += endOffset - known;
  }
  chaos.figure('gone_with_the_topic', goneCount);
  chaos.expect(goneCount > 0, 'nothing was in flight when the topic was deleted');
}

/** Deleted and created again while the program runs, before it notices or after. */
async function createAgain(
  chaos: Chaos,
  { topic, member }: Changed,
  { isNoticed }: { readonly isNoticed: boolean },
): Promise<void> {
  chaos.fault('the topic is deleted');
  const deletedAt = Date.now();
  const admin = kafkaClient(chaos.brokers).admin();
  await admin.connect();
  try {
    await admin.deleteTopics({ topics: [topic] });
    if (isNoticed) {
      const hasSaid = (): boolean => member.saidSince(deletedAt, 'kafka_unavailable');
      await chaos.eventually(hasSaid, '/readyz says kafka_unavailable while the topic is gone', NOTICED_MS);
    }
    const create = async (): Promise<boolean> =>
      await admin.createTopics({
        topics: [{ topic, numPartitions: PARTITIONS }],
        waitForLeaders: false,
      });
    // The broker needs a moment to forget the old one.
    await until(() => create().catch(() => false), { timeoutMs: 30_000 });
    await until(async () => (await admin.fetchTopicOffsets(topic).catch(() => [])).length === PARTITIONS, {
      timeoutMs: 30_000,
    });
    chaos.fault('the topic is created again');
  } finally {
    await admin.disconnect();
  }
}

function fateOfLost(fates: ReadonlyMap<string, Fate>, generations: readonly TopicTruth[]): FateOf {
  const generationOf = new Map(
    generations.flatMap(({ lanes }, i) => lanes.map((lane) => [lane, i] as const)),
  );
  return ({ lane, partition, offset }) => fates.get(`${generationOf.get(lane) ?? -1}/${partition}@${offset}`);
}
