/**
 * The stored rows and dead letters of one lane against the broker's records: by sums first, row by row to name what
 * differs.
 */
import { crc32 } from 'node:zlib';
import { CANONICAL_SQL, Checksum, SEQ_SQL } from '../../../src/produce/checksum.ts';
import type { Store } from '../../../src/store/clickhouse-client.ts';
import type { ExpectedEvents } from './expected-events.ts';
import type { ForeignRecord, LaneTruth } from './truth.ts';

/** What must have become of a record. `with_batch`: the dead letter of an earlier record stands for it, too. */
export type Fate = 'stored' | 'filtered' | 'lost' | 'with_batch' | { readonly deadLetter: string };

/** A record as a scenario is asked about it. `seq` is absent where the seeded producer did not make it. */
export interface FateQuestion {
  readonly lane: LaneTruth;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly seq?: number;
  readonly foreign?: ForeignRecord;
  /** Its batch could not be decoded. */
  readonly isUnreadable: boolean;
}

/** Undefined: the usual (what the producer made is stored; anything else is a finding). */
export type FateOf = (record: FateQuestion) => Fate | undefined;

export interface LaneToCheck {
  readonly lane: LaneTruth;
  readonly source: number;
  readonly expected: ExpectedEvents;
  readonly fateOf: FateOf;
}

/** What a lane should hold, by sums. */
export interface LaneSums {
  readonly rows: number;
  /** Records that dead letters stand for. */
  readonly deadLetters: number;
  readonly filtered: number;
  readonly lost: number;
}

interface Sums {
  readonly events: number;
  readonly offsets: number;
  readonly checksum: string;
}

const MAX_NAMED = 3;
/** A row's place and content in one number, the same in SQL and here. */
const PLACED_HASH_SQL = `CRC32(concat(toString(offset), '|', toString(CRC32(canonical))))`;

const rowsSql = (columns: string): string => `SELECT ${columns} FROM (
  SELECT offset, ${SEQ_SQL} AS seq, ${CANONICAL_SQL} AS canonical FROM logs
  WHERE source = {source:UInt8} AND partition = {partition:UInt16})`;

/** Findings name the first differing coordinates; none: the lane holds exactly what it must. */
export async function laneFindings(
  store: Store,
  check: LaneToCheck,
): Promise<{ findings: string[]; sums: LaneSums }> {
  const { lane, source, expected } = check;
  const checksum = new Checksum();
  const dead = new Map<number, string>();
  const unexplained: string[] = [];
  let [rows, filtered, lost, withBatch, unknownContent] = [0, 0, 0, 0, 0];
  for (let offset = lane.firstOffset; offset < lane.endOffset; offset++) {
    const fate = fateAt(check, offset);
    if (fate === undefined) unexplained.push(`no fate is known for the record ${place(lane, offset)}`);
    else if (fate === 'filtered') filtered += 1;
    else if (fate === 'lost') lost += 1;
    else if (fate === 'with_batch') withBatch += 1;
    else if (fate === 'stored') {
      rows += 1;
      const hash = hashAt(lane, offset, expected);
      if (hash === undefined) unknownContent += 1;
      else checksum.add(crc32(`${offset}|${hash}`));
    } else dead.set(offset, fate.deadLetter);
  }
  const params = { source, partition: lane.partition };
  const columns = `count() AS events, uniqExact(offset) AS offsets, toString(sum(${PLACED_HASH_SQL})) AS checksum`;
  const [stored] = await store.query<Sums>(rowsSql(columns), params);
  const isEqual =
    unknownContent === 0 &&
    stored?.events === rows &&
    stored.offsets === rows &&
    stored.checksum === checksum.toString();
  const findings = [
    ...unexplained.slice(0, MAX_NAMED),
    ...(isEqual ? [] : await nameDifferences(store, check)),
    ...(await deadLetterFindings(store, check, dead)),
  ];
  return { findings, sums: { rows, deadLetters: dead.size + withBatch, filtered, lost } };
}

function fateAt({ lane, fateOf }: LaneToCheck, offset: number): Fate | undefined {
  const seq = lane.seqAt(offset);
  const foreign = lane.foreign.get(offset);
  const told = fateOf({
    lane,
    topic: lane.topic,
    partition: lane.partition,
    offset,
    isUnreadable: lane.isUnreadable(offset),
    ...(seq !== undefined && { seq }),
    ...(foreign !== undefined && { foreign }),
  });
  return told ?? (seq === undefined ? undefined : 'stored');
}

function hashAt(lane: LaneTruth, offset: number, expected: ExpectedEvents): number | undefined {
  const seq = lane.seqAt(offset);
  return seq === undefined ? undefined : expected.find(seq)?.hash;
}

function place(lane: LaneTruth, offset: number): string {
  const seq = lane.seqAt(offset);
  return `${lane.topic}/${lane.partition}@${offset}${seq === undefined ? '' : ` (seq ${seq})`}`;
}

/** Walks rows and records side by side; each kind of difference is named with its first places and its count. */
async function nameDifferences(store: Store, check: LaneToCheck): Promise<string[]> {
  const { lane, source, expected } = check;
  const found = new Differences();
  const sql = `${rowsSql('offset, count() AS copies, any(CRC32(canonical)) AS hash')} GROUP BY offset ORDER BY offset`;
  let next = lane.firstOffset;
  const missUntil = (end: number): void => {
    for (; next < end; next++) if (fateAt(check, next) === 'stored') found.add('missing', place(lane, next));
  };
  const stream = store.stream<{ offset: number; copies: number; hash: number }>(sql, {
    source,
    partition: lane.partition,
  });
  for await (const rows of stream) {
    for (const { offset, copies, hash } of rows) {
      missUntil(Math.min(offset, lane.endOffset));
      next = Math.max(next, offset + 1);
      const isOurs = offset >= lane.firstOffset && offset < lane.endOffset;
      const right = hashAt(lane, offset, expected);
      if (!isOurs) found.add('stored, but explained by no record', place(lane, offset));
      else if (fateAt(check, offset) !== 'stored') found.add('stored, but must not be', place(lane, offset));
      else if (right !== undefined && right !== hash)
        found.add('stored with other content', place(lane, offset));
      if (copies > 1) found.add('stored more than once', `${place(lane, offset)} ×${copies}`);
    }
  }
  missUntil(lane.endOffset);
  return found.sentences();
}

async function deadLetterFindings(
  store: Store,
  { lane, source }: LaneToCheck,
  expected: ReadonlyMap<number, string>,
): Promise<string[]> {
  const letters = await store.query<{ offset: number; reason: string; copies: number }>(
    `SELECT offset, any(reason) AS reason, count() AS copies FROM dead_letters
     WHERE source = {source:UInt8} AND partition = {partition:UInt16} GROUP BY offset ORDER BY offset`,
    { source, partition: lane.partition },
  );
  const found = new Differences();
  const there = new Set<number>();
  for (const { offset, reason, copies } of letters) {
    there.add(offset);
    const wanted = expected.get(offset);
    if (wanted === undefined) found.add(`dead-lettered (${reason}), but must not be`, place(lane, offset));
    else if (wanted !== reason) found.add(`dead-lettered as ${reason}, not ${wanted}`, place(lane, offset));
    if (copies > 1) found.add('dead-lettered more than once', `${place(lane, offset)} ×${copies}`);
  }
  for (const [offset, reason] of expected)
    if (!there.has(offset)) found.add(`not dead-lettered (${reason})`, place(lane, offset));
  return found.sentences();
}

class Differences {
  readonly #byKind = new Map<string, { count: number; readonly named: string[] }>();

  add(kind: string, where: string): void {
    const entry = this.#byKind.get(kind) ?? { count: 0, named: [] };
    this.#byKind.set(kind, entry);
    entry.count += 1;
    if (entry.named.length < MAX_NAMED) entry.named.push(where);
  }

  sentences(): string[] {
    return [...this.#byKind].map(([kind, { count, named }]) => `${count} ${kind}: ${named.join(', ')}`);
  }
}
