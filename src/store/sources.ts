/**
 * The registry of sources: each has a number 0–255 that stands in every row and id.
 *
 * A Kafka topic keeps its number for good; its partitions and offsets are Kafka's. A topic that was deleted and made
 * again under its name is another one, told by its id: it gets a number of its own, so several numbers may stand for
 * one name. Where the broker knows no ids the name alone counts. A direct source (`http`,
 * `import`, …) has offsets that begin at 0 whenever the program starts, so every start takes a partition nobody had
 * before: the count of starts of that source. After 16,384 starts the source gets a further number and counts anew.
 * So no two starts, not even of programs running side by side, can give the same (source, partition, offset).
 */
import { MillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Store } from './clickhouse-client.ts';
import { withMutex } from './mutex.ts';

export interface SourceKey {
  /** `kafka`, or the kind of direct source: `http`, `import`, `syslog`, … */
  readonly kind: string;
  /** Kafka cluster id; empty for direct sources. */
  readonly cluster: string;
  /** Kafka topic; empty, or a name of its own, for direct sources. */
  readonly topic: string;
  /** Kafka's id of the topic; empty when the broker cannot tell, absent for direct sources. */
  readonly topicId?: string;
}

export interface RegisteredSource {
  readonly number: number;
  /** Kafka: how many topics of this name were registered before. Direct sources: the count of starts before this one under the number. */
  readonly generation: number;
  /** Direct sources: the one partition of this start. Of no meaning for Kafka. */
  readonly partition: number;
  /** How many of the 256 numbers are given away. */
  readonly usedCount: number;
}

interface SourceRow {
  readonly number: number;
  readonly kind: string;
  readonly cluster: string;
  readonly topic: string;
  /** Empty: not known yet. */
  readonly topic_id: string;
  readonly generation: number;
}

const MAX_SOURCES = 256;
/** So many given away are worth a warning: numbers never come back. */
const MANY_SOURCES = 200;
/** Partitions have 14 bits in the id. */
const MAX_PARTITIONS = 16_384;

async function readRows(store: Store): Promise<SourceRow[]> {
  return await store.query<SourceRow>(
    `SELECT number, kind, cluster, topic, max(s.topic_id) AS topic_id, max(s.generation) AS generation
     FROM sources AS s GROUP BY number, kind, cluster, topic ORDER BY number`,
  );
}

function isSame(row: SourceRow, key: SourceKey): boolean {
  return row.kind === key.kind && row.cluster === key.cluster && row.topic === key.topic;
}

function nextNumber(rows: readonly SourceRow[]): number {
  const number = (rows.at(-1)?.number ?? -1) + 1;
  if (number < MAX_SOURCES) return number;
  throw new MillraceError(
    'sources_exhausted',
    'All 256 source numbers are used up; no further topic can be read.',
  );
}

/**
 * The number of a Kafka topic, the same at every call; or a number and partition for this start of a direct source,
 * never given out before. Throws `sources_exhausted`.
 */
export async function registerSource(store: Store, key: SourceKey): Promise<RegisteredSource> {
  const isDirect = key.kind !== 'kafka';
  if (!isDirect) {
    const rows = await readRows(store);
    const known = findTopic(rows, key);
    if (known !== undefined) return toRegistered(known, rows);
  }
  return await withMutex(store, { name: 'sources' }, async () => {
    const rows = await readRows(store);
    const registered = isDirect ? undefined : findTopic(rows, key);
    if (registered !== undefined) return toRegistered(registered, rows);
    const next = isDirect ? nextStart(rows, key) : nextTopic(rows, key);
    const { kind, cluster, topic, topicId = '' } = key;
    await store.insertJson('sources', [{ kind, cluster, topic, topic_id: topicId, ...next }]);
    return toRegistered(next, rows);
  });
}

type NumberedSource = Pick<SourceRow, 'number' | 'generation'>;

/** The row of exactly this topic; of the latest of the name when the id is not known. */
function findTopic(rows: readonly SourceRow[], key: SourceKey): SourceRow | undefined {
  const { topicId = '' } = key;
  return rows.findLast((row) => isSame(row, key) && (topicId === '' || row.topic_id === topicId));
}

/** A row that was made before ids were known gets the first id that is seen: the topic is taken to be the same. */
function nextTopic(rows: readonly SourceRow[], key: SourceKey): NumberedSource {
  const latest = rows.findLast((row) => isSame(row, key));
  if (latest?.topic_id === '') return { number: latest.number, generation: latest.generation };
  return { number: nextNumber(rows), generation: latest === undefined ? 0 : latest.generation + 1 };
}

function nextStart(rows: readonly SourceRow[], key: SourceKey): NumberedSource {
  const current = rows.findLast((row) => isSame(row, key));
  const isFull = current === undefined || current.generation + 1 >= MAX_PARTITIONS;
  if (isFull) return { number: nextNumber(rows), generation: 0 };
  return { number: current.number, generation: current.generation + 1 };
}

function toRegistered({ number, generation }: NumberedSource, rows: readonly SourceRow[]): RegisteredSource {
  const last = rows.at(-1)?.number ?? 0;
  return { number, generation, partition: generation, usedCount: Math.max(last, number) + 1 };
}

/** Warns when few numbers are left. */
export function warnOfFewSources({ usedCount }: RegisteredSource, telemetry: Telemetry): void {
  if (usedCount >= MANY_SOURCES) telemetry.emit('sources_scarce', { usedCount, maxCount: MAX_SOURCES });
}
