/**
 * The registry of sources: each has a number 0–255 that stands in every row and id.
 *
 * A Kafka topic keeps its number for good; its partitions and offsets are Kafka's. A direct source (`http`,
 * `import`, …) has offsets that begin at 0 whenever the program starts, so every start takes a partition nobody had
 * before: the count of starts of that source. After 16,384 starts the source gets a further number and counts anew.
 * So no two starts, not even of programs running side by side, can give the same (source, partition, offset).
 */
import { MillraceError } from '../errors.ts';
import type { Store } from './clickhouse-client.ts';
import { withMutex } from './mutex.ts';

export interface SourceKey {
  /** `kafka`, or the kind of direct source: `http`, `import`, `syslog`, … */
  readonly kind: string;
  /** Kafka cluster id; empty for direct sources. */
  readonly cluster: string;
  /** Kafka topic; empty, or a name of its own, for direct sources. */
  readonly topic: string;
}

export interface RegisteredSource {
  readonly number: number;
  /** Kafka: 0. Direct sources: the count of starts before this one under the number. */
  readonly generation: number;
  /** Direct sources: the one partition of this start. Of no meaning for Kafka. */
  readonly partition: number;
}

interface SourceRow extends SourceKey {
  readonly number: number;
  readonly generation: number;
}

const MAX_SOURCES = 256;
/** Partitions have 14 bits in the id. */
const MAX_PARTITIONS = 16_384;

async function readRows(store: Store): Promise<SourceRow[]> {
  return await store.query<SourceRow>(
    `SELECT number, kind, cluster, topic, max(generation) AS generation FROM sources
     GROUP BY number, kind, cluster, topic ORDER BY number`,
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
  const known = isDirect ? undefined : (await readRows(store)).find((row) => isSame(row, key));
  if (known !== undefined) return toRegistered(known);
  return await withMutex(store, { name: 'sources' }, async () => {
    const rows = await readRows(store);
    const current = rows.findLast((row) => isSame(row, key));
    if (current !== undefined && !isDirect) return toRegistered(current);
    const isFull = current === undefined || current.generation + 1 >= MAX_PARTITIONS;
    const number = isFull ? nextNumber(rows) : current.number;
    const generation = isFull ? 0 : current.generation + 1;
    await store.insertJson('sources', [{ ...key, number, generation }]);
    return toRegistered({ number, generation });
  });
}

function toRegistered({ number, generation }: Pick<SourceRow, 'number' | 'generation'>): RegisteredSource {
  return { number, generation, partition: generation };
}
