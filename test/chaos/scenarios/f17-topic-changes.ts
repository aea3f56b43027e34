/** F17: Kafka deletes records before they were read; a topic is deleted and created again. */
import { kafkaClient } from '../../support/kafka.ts';
import { until } from '../../support/until.ts';
import type { Chaos, ExternalClickHouse } from '../chaos.ts';
import type { Member } from '../member.ts';
import { readOffsets } from '../oracle/oracle.ts';
import type { FateOf } from '../oracle/rows.ts';
import { mergeTruths, type TopicTruth } from '../oracle/truth.ts';
import type { Scenario } from '../scenario.ts';

const RATE = 2000;
const PARTITIONS = 3;

export const topicChanges: Scenario = {
  id: 'F17',
  title: 'retention passes the committed offset; the topic is deleted and created again',
  async run(chaos) {
    const topic = await chaos.createTopic(PARTITIONS);
    const clickhouse = await chaos.startClickHouse();
    const member = await chaos.startProgram({ clickhouse });
    const lost = new Set<string>();
    const generations: TopicTruth[] = [];
    for (let round = 1; round <= chaos.pick(1, 3); round++) {
      const before = await loseRecords(chaos, {
        topic,
        clickhouse,
        member,
        lost,
        generation: generations.length,
      });
      const load = await chaos.startLoad({ rate: RATE, count: 2 * RATE });
      await load.finished();
      await chaos.settle();
      const [now] = await chaos.readTruths();
      if (now !== undefined) generations.push(mergeTruths(before, now));
      await createAgain(chaos, topic);
      const more = await chaos.startLoad({ rate: RATE, count: 2 * RATE });
      await more.finished();
      await chaos.settle();
    }
    generations.push(...(await chaos.readTruths()));
    await chaos.verify({
      store: clickhouse.store,
      truths: generations,
      fateOf: fateOfLost(lost, generations),
    });
    chaos.expect(member.state === 'ready', `${member.name} is ${member.state} at the end`);
  },
};

interface Losing {
  readonly topic: string;
  readonly clickhouse: ExternalClickHouse;
  readonly member: Member;
  /** `generation/partition@offset` of the records that were deleted unread. */
  readonly lost: Set<string>;
  readonly generation: number;
}

/** While the program is away, records are deleted past what it has committed. Answers what the topic held before. */
async function loseRecords(chaos: Chaos, losing: Losing): Promise<TopicTruth> {
  const { topic, clickhouse, member, lost, generation } = losing;
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
    for (let offset = from; offset < to; offset++) lost.add(`${generation}/${partition}@${offset}`);
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

/** Per partition what the newest generation of the topic has stored, exclusive. */
async function readStoredEnds({ store }: ExternalClickHouse, topic: string): Promise<Map<number, number>> {
  const rows = await store.query<{ partition: number; end: number }>(
    `SELECT partition, max(offset) + 1 AS end FROM logs
     WHERE source = (SELECT max(number) FROM sources WHERE topic = {topic:String}) GROUP BY partition`,
    { topic },
  );
  return new Map(rows.map(({ partition, end }) => [partition, end]));
}

/** Deleted and created again while the program runs. */
async function createAgain(chaos: Chaos, topic: string): Promise<void> {
  chaos.fault('the topic is deleted');
  const admin = kafkaClient(chaos.brokers).admin();
  await admin.connect();
  try {
    await admin.deleteTopics({ topics: [topic] });
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

function fateOfLost(lost: ReadonlySet<string>, generations: readonly TopicTruth[]): FateOf {
  const generationOf = new Map(
    generations.flatMap(({ lanes }, i) => lanes.map((lane) => [lane, i] as const)),
  );
  return ({ lane, partition, offset }) =>
    lost.has(`${generationOf.get(lane) ?? -1}/${partition}@${offset}`) ? 'lost' : undefined;
}
