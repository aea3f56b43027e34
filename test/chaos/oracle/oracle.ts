/**
 * The oracle: what the broker holds is what ClickHouse holds, once each, with the right content. It asks the broker,
 * the producer's ledger files and the tables, and never a counter of the program under test.
 */
import type { Store } from '../../../src/store/clickhouse-client.ts';
import { kafkaClient } from '../../support/kafka.ts';
import { compareRollups, MAX_SUM_ERROR } from '../../support/rollups.ts';
import type { ExpectedEvents } from './expected-events.ts';
import { ledgerFindings } from './ledger.ts';
import { type FateOf, laneFindings } from './rows.ts';
import { type Bounds, ledgerFileFindings, readTruth, type TopicTruth } from './truth.ts';

export interface OracleInput {
  readonly brokers: readonly string[];
  readonly group: string;
  readonly topics: readonly string[];
  readonly store: Store;
  readonly expected: ExpectedEvents;
  readonly ledgerFiles: readonly string[];
  /** What dead letters are sealed with. */
  readonly letterKeys: readonly Uint8Array[];
  readonly fateOf?: FateOf;
  /**
   * What the topics held, oldest generation first, where that is more than what they hold now (records that Kafka
   * has deleted since, topics created again). Default: what they hold now.
   */
  readonly truths?: readonly TopicTruth[];
  /** Where the broker keeps its topics, if that is known. */
  readonly dataDirectory?: string | undefined;
}

/**
 * `data`: rows, dead letters, ledger or rollups are not what they must be; `progress`: not all of it was worked off;
 * `input`: what the broker has, and what ClickHouse knows of its topics.
 */
export type OracleSubject = 'data' | 'progress' | 'input';

export interface OracleFinding {
  readonly about: OracleSubject;
  readonly text: string;
}

export interface Verdict {
  /** None: all is as it must be. */
  readonly findings: readonly OracleFinding[];
  readonly recordCount: number;
}

export async function askOracle(input: OracleInput): Promise<Verdict> {
  const { store, expected, letterKeys, fateOf = () => undefined } = input;
  const truths = input.truths ?? (await readTruths(input, expected));
  const findings: OracleFinding[] = [];
  const find = (about: OracleSubject, texts: readonly string[]): void => {
    findings.push(...texts.map((text) => ({ about, text })));
  };
  for (const file of input.ledgerFiles) find('input', await ledgerFileFindings(file, truths, expected));
  let recordCount = 0;
  const sourcesOf = await readSources(store);
  for (const { topic, lanes } of truths) {
    const source = sourcesOf.get(topic)?.shift();
    recordCount += lanes.reduce((sum, lane) => sum + lane.count, 0);
    if (source === undefined) {
      find('input', [`topic ${topic} is unknown to ClickHouse`]);
      continue;
    }
    for (const lane of lanes) {
      const { findings: ofRows, sums } = await laneFindings(store, {
        lane,
        source,
        expected,
        fateOf,
        letterKeys,
      });
      find('data', ofRows);
      find('data', await ledgerFindings(store, { lane, source, sums }));
    }
    find('data', await strayPartitions(store, { topic, source, count: lanes.length }));
  }
  for (const [topic, left] of sourcesOf)
    if (left.length > 0)
      find('input', [`topic ${topic} has sources that nothing explains: ${left.join(', ')}`]);
  find('data', await rollupFindings(store));
  find('progress', await commitFindings(input));
  return { findings, recordCount };
}

/** What the topics hold now. */
export async function readTruths(
  { brokers, topics, dataDirectory }: Pick<OracleInput, 'brokers' | 'topics' | 'dataDirectory'>,
  expected: ExpectedEvents,
): Promise<TopicTruth[]> {
  const { bounds } = await readOffsets({ brokers, topics });
  const truths: TopicTruth[] = [];
  for (const topic of topics)
    truths.push(
      await readTruth({ brokers, topic, bounds: bounds.get(topic) ?? [], dataDirectory }, expected),
    );
  return truths;
}

/** Source numbers by topic, oldest generation first. */
export async function readSources(store: Store): Promise<Map<string, number[]>> {
  const rows = await store.query<{ topic: string; number: number }>(
    "SELECT topic, number FROM sources WHERE kind = 'kafka' GROUP BY topic, number ORDER BY number",
  );
  const byTopic = new Map<string, number[]>();
  for (const { topic, number } of rows) byTopic.set(topic, [...(byTopic.get(topic) ?? []), number]);
  return byTopic;
}

async function strayPartitions(
  store: Store,
  { topic, source, count }: { readonly topic: string; readonly source: number; readonly count: number },
): Promise<string[]> {
  const rows = await store.query<{ partition: number }>(
    'SELECT DISTINCT partition FROM logs WHERE source = {source:UInt8} AND partition >= {count:UInt16}',
    { source, count },
  );
  return rows.map(({ partition }) => `rows of ${topic}/${partition}, which does not exist`);
}

async function rollupFindings(store: Store): Promise<string[]> {
  const findings: string[] = [];
  for (const resolution of ['1m', '1h'] as const) {
    for (const [name, found] of Object.entries(await compareRollups(store, resolution))) {
      const { unmatched = 1, different = 1, worst_sum: worst = 0, example = '' } = found ?? {};
      if (unmatched + different === 0 && worst <= MAX_SUM_ERROR) continue;
      findings.push(
        `rollups ${name} ${resolution}: ${unmatched} groups without counterpart, ${different} differ, sums off by ${worst}; e.g. ${example}`,
      );
    }
  }
  return findings;
}

async function commitFindings({ brokers, group, topics }: OracleInput): Promise<string[]> {
  const { committed, ends } = await readOffsets({ brokers, group, topics });
  return [...ends]
    .filter(([place, end]) => committed.get(place) !== end)
    .slice(0, 3)
    .map(([place, end]) => `${place}: committed ${committed.get(place) ?? 'nothing'}, end ${end}`);
}

export interface GroupOffsets {
  /** By `topic/partition`; only partitions that hold or held records. */
  readonly ends: ReadonlyMap<string, number>;
  readonly committed: ReadonlyMap<string, number>;
  readonly bounds: ReadonlyMap<string, readonly Bounds[]>;
}

/** As Kafka itself tells. */
export async function readOffsets(what: {
  readonly brokers: readonly string[];
  readonly topics: readonly string[];
  readonly group?: string;
}): Promise<GroupOffsets> {
  const admin = kafkaClient(what.brokers).admin();
  const ends = new Map<string, number>();
  const committed = new Map<string, number>();
  const bounds = new Map<string, Bounds[]>();
  await admin.connect();
  try {
    for (const topic of what.topics) {
      const offsets = await admin.fetchTopicOffsets(topic);
      bounds.set(
        topic,
        offsets.map(({ partition, low, high }) => ({ partition, low: Number(low), high: Number(high) })),
      );
      for (const { partition, high } of offsets)
        if (Number(high) > 0) ends.set(`${topic}/${partition}`, Number(high));
    }
    if (what.group === undefined) return { ends, committed, bounds };
    const answer = await admin.fetchOffsets({ groupId: what.group, topics: [...what.topics] });
    for (const { topic, partitions } of answer)
      for (const { partition, offset } of partitions)
        if (Number(offset) >= 0) committed.set(`${topic}/${partition}`, Number(offset));
    return { ends, committed, bounds };
  } finally {
    await admin.disconnect();
  }
}
