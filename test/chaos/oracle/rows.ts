/**
 * The stored rows of one lane against the broker's records: by sums first, row by row to name what differs.
 */
import { crc32 } from 'node:zlib';
import { CANONICAL_SQL, Checksum, SEQ_SQL } from '../../../src/produce/checksum.ts';
import type { Store } from '../../../src/store/clickhouse-client.ts';
import { Differences } from './differences.ts';
import type { ExpectedEvents } from './expected-events.ts';
import { type ExpectedLetter, letterFindings } from './letters.ts';
import { type ForeignRecord, type LaneTruth, placeName } from './truth.ts';

/**
 * What must have become of a record. `with_batch`: the dead letter of an earlier record stands for it, too. `gone`:
 * went with its topic while it was in flight, with all that followed it; the ledger does not know of it, and it is
 * stored once or not at all.
 */
export type Fate = 'stored' | 'filtered' | 'lost' | 'gone' | 'with_batch' | { readonly deadLetter: string };

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
  /** What dead letters are sealed with. */
  readonly letterKeys: readonly Uint8Array[];
}

/** What a lane should hold, by sums. */
export interface LaneSums {
  readonly rows: number;
  /** Records that dead letters stand for. */
  readonly deadLetters: number;
  readonly filtered: number;
  readonly lost: number;
  /** At the end of the lane. */
  readonly gone: number;
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
  const { lane, source, expected, letterKeys: keys } = check;
  const { checksum, letters, unexplained, isAllKnown, ...sums } = expectedOf(check);
  const params = { source, partition: lane.partition };
  const columns = `count() AS events, uniqExact(offset) AS offsets, toString(sum(${PLACED_HASH_SQL})) AS checksum`;
  const [stored] = await store.query<Sums>(rowsSql(columns), params);
  const isEqual =
    isAllKnown &&
    sums.gone === 0 &&
    stored?.events === sums.rows &&
    stored.offsets === sums.rows &&
    stored.checksum === checksum.toString();
  const findings = [
    ...unexplained.slice(0, MAX_NAMED),
    ...(isEqual ? [] : await nameDifferences(store, check)),
    ...(await letterFindings(store, { lane, source, expected, letters, keys })),
  ];
  return { findings, sums };
}

interface ExpectedLane extends LaneSums {
  /** Of places and contents of the rows. */
  readonly checksum: Checksum;
  readonly letters: ReadonlyMap<number, ExpectedLetter>;
  readonly unexplained: readonly string[];
  /** Whether the content of every row is known beforehand. */
  readonly isAllKnown: boolean;
}

/** What the fates of its records make of a lane. */
function expectedOf(check: LaneToCheck): ExpectedLane {
  const { lane, expected } = check;
  const checksum = new Checksum();
  const letters = new Map<number, ExpectedLetter>();
  const unexplained: string[] = [];
  const counts = { stored: 0, filtered: 0, lost: 0, gone: 0, with_batch: 0 };
  let [unknownContent, letterOffset] = [0, -1];
  for (let offset = lane.firstOffset; offset < lane.endOffset; offset++) {
    const fate = fateAt(check, offset);
    if (fate === undefined) {
      unexplained.push(`no fate is known for the record ${placeName(lane, offset)}`);
    } else if (typeof fate === 'object') {
      letterOffset = offset;
      letters.set(offset, { reason: fate.deadLetter, toOffset: offset + 1 });
    } else {
      counts[fate] += 1;
      const letter = letters.get(letterOffset);
      if (fate === 'with_batch' && letter !== undefined)
        letters.set(letterOffset, { ...letter, toOffset: offset + 1 });
      if (fate === 'stored') {
        const hash = hashAt(lane, offset, expected);
        if (hash === undefined) unknownContent += 1;
        else checksum.add(crc32(`${offset}|${hash}`));
      }
      if (fate !== 'gone' && counts.gone > 0)
        unexplained.push(`not gone, unlike those before it: ${placeName(lane, offset)}`);
    }
  }
  const { stored: rows, filtered, lost, gone, with_batch: withBatch } = counts;
  const isAllKnown = unknownContent === 0;
  return {
    rows,
    deadLetters: letters.size + withBatch,
    filtered,
    lost,
    gone,
    checksum,
    letters,
    unexplained,
    isAllKnown,
  };
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

function mayBeStored(check: LaneToCheck, offset: number): boolean {
  const fate = fateAt(check, offset);
  return fate === 'stored' || fate === 'gone';
}

function hashAt(lane: LaneTruth, offset: number, expected: ExpectedEvents): number | undefined {
  const seq = lane.seqAt(offset);
  return seq === undefined ? undefined : expected.find(seq)?.hash;
}

/** Walks rows and records side by side; each kind of difference is named with its first places and its count. */
async function nameDifferences(store: Store, check: LaneToCheck): Promise<string[]> {
  const { lane, source, expected } = check;
  const found = new Differences();
  const sql = `${rowsSql('offset, count() AS copies, any(CRC32(canonical)) AS hash')} GROUP BY offset ORDER BY offset`;
  let next = lane.firstOffset;
  const missUntil = (end: number): void => {
    for (; next < end; next++)
      if (fateAt(check, next) === 'stored') found.add('missing', placeName(lane, next));
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
      if (!isOurs) found.add('stored, but explained by no record', placeName(lane, offset));
      else if (!mayBeStored(check, offset)) found.add('stored, but must not be', placeName(lane, offset));
      else if (right !== undefined && right !== hash)
        found.add('stored with other content', placeName(lane, offset));
      if (copies > 1) found.add('stored more than once', `${placeName(lane, offset)} ×${copies}`);
    }
  }
  missUntil(lane.endOffset);
  return found.sentences();
}
