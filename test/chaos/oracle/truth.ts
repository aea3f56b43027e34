/**
 * What the broker holds, read back by the plain reader: the truth that storage is compared with. The producer's
 * ledger file can only be a part of it: a record sent without an answer may be there, too.
 */
import { readFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { type ReadRecord, readTopic } from '../../../src/bus/kafka-reader.ts';
import type { ExpectedEvents } from './expected-events.ts';
import { readSegments } from './segments.ts';

/** A record that the seeded producer did not make, or one whose bytes are not what it made. */
export interface ForeignRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly value: Uint8Array | null;
}

/** Places in `seqs` that hold no sequence number. */
const FOREIGN = -1;
const UNREADABLE = -2;

/** One partition: a record for each offset from `firstOffset` on. */
export class LaneTruth {
  readonly topic: string;
  readonly partition: number;
  readonly firstOffset: number;
  readonly foreign = new Map<number, ForeignRecord>();
  /** Batches that could not be decoded, as they lie in the broker, by their first offset. */
  readonly unreadable = new Map<number, Buffer>();
  readonly #seqs: number[] = [];

  constructor(topic: string, partition: number, firstOffset: number) {
    this.topic = topic;
    this.partition = partition;
    this.firstOffset = firstOffset;
  }

  /** Exclusive. */
  get endOffset(): number {
    return this.firstOffset + this.#seqs.length;
  }

  get count(): number {
    return this.#seqs.length;
  }

  /** Undefined: a foreign or unreadable record, or none. */
  seqAt(offset: number): number | undefined {
    const seq = this.#seqs[offset - this.firstOffset];
    return seq === undefined || seq < 0 ? undefined : seq;
  }

  /** Offsets whose batch could not be decoded: the broker counts a record there, and that is all that is known. */
  isUnreadable(offset: number): boolean {
    return this.#seqs[offset - this.firstOffset] === UNREADABLE;
  }

  get hasUnreadable(): boolean {
    return this.#seqs.includes(UNREADABLE);
  }

  /** Offsets ascend; what is left out is unreadable. */
  add(offset: number, seq: number): void {
    this.extendTo(offset);
    this.#seqs.push(seq);
  }

  addForeign(record: ForeignRecord): void {
    this.foreign.set(record.offset, record);
    this.add(record.offset, FOREIGN);
  }

  /** Up to the end of the partition: records that could not be read. */
  extendTo(endOffset: number): void {
    while (this.endOffset < endOffset) this.#seqs.push(UNREADABLE);
  }
}

/** A record's place, for a finding. */
export function placeName(lane: LaneTruth, offset: number): string {
  const seq = lane.seqAt(offset);
  return `${lane.topic}/${lane.partition}@${offset}${seq === undefined ? '' : ` (seq ${seq})`}`;
}

/** One topic as it is now; partitions in order. */
export interface TopicTruth {
  readonly topic: string;
  readonly lanes: readonly LaneTruth[];
}

export interface Bounds {
  readonly partition: number;
  readonly low: number;
  readonly high: number;
}

export interface TopicToRead {
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly bounds: readonly Bounds[];
  /** Where the broker keeps its topics; without it the bytes of what cannot be decoded are not known. */
  readonly dataDirectory?: string | undefined;
}

/** Reads the topic from its beginning to its present end. */
export async function readTruth(
  { brokers, topic, bounds, dataDirectory }: TopicToRead,
  expected: ExpectedEvents,
): Promise<TopicTruth> {
  const lanes = bounds
    .toSorted((a, b) => a.partition - b.partition)
    .map(({ partition, low }) => new LaneTruth(topic, partition, low));
  const laneOf = new Map(lanes.map((lane) => [lane.partition, lane]));
  await readTopic(
    { brokers, clientId: 'chaos-oracle', topic, from: 'beginning', isFollowing: false },
    async (records) => {
      for (const record of records) {
        const lane = laneOf.get(record.partition);
        if (lane !== undefined) enter(lane, record, expected);
      }
    },
    { emit: () => {} },
  );
  for (const { partition, high } of bounds) laneOf.get(partition)?.extendTo(high);
  if (dataDirectory !== undefined) for (const lane of lanes) await enterUnreadable(lane, dataDirectory);
  return { topic, lanes };
}

async function enterUnreadable(lane: LaneTruth, dataDirectory: string): Promise<void> {
  if (!lane.hasUnreadable) return;
  for (const { baseOffset, bytes } of await readSegments(dataDirectory, lane))
    if (lane.isUnreadable(baseOffset)) lane.unreadable.set(baseOffset, bytes);
}

/**
 * The same topic, read before and after its oldest records were deleted: both together. Not for a topic that was
 * deleted and created again: those are two.
 */
export function mergeTruths(before: TopicTruth, after: TopicTruth): TopicTruth {
  const lanes = after.lanes.map((lane) => {
    const older = before.lanes.find(({ partition }) => partition === lane.partition);
    return older === undefined ? lane : mergeLanes(older, lane);
  });
  return { topic: after.topic, lanes };
}

function mergeLanes(older: LaneTruth, newer: LaneTruth): LaneTruth {
  const merged = new LaneTruth(newer.topic, newer.partition, Math.min(older.firstOffset, newer.firstOffset));
  const end = Math.max(older.endOffset, newer.endOffset);
  for (let offset = merged.firstOffset; offset < end; offset++) {
    const seq = newer.seqAt(offset) ?? older.seqAt(offset);
    const foreign = newer.foreign.get(offset) ?? older.foreign.get(offset);
    if (seq !== undefined) merged.add(offset, seq);
    else if (foreign !== undefined) merged.addForeign(foreign);
    else merged.extendTo(offset + 1);
  }
  for (const [offset, bytes] of [...older.unreadable, ...newer.unreadable])
    merged.unreadable.set(offset, bytes);
  return merged;
}

const SEQ_IN_TEXT = / seq=(\d+)$/;

function enter(lane: LaneTruth, { offset, timestampMs, value }: ReadRecord, expected: ExpectedEvents): void {
  const seq = value === null ? 0 : readSeq(Buffer.from(value).toString());
  const event = seq === 0 ? undefined : expected.find(seq);
  if (event !== undefined && value !== null && event.valueCrc === crc32(value)) lane.add(offset, seq);
  else lane.addForeign({ topic: lane.topic, partition: lane.partition, offset, timestampMs, value });
}

/** The number that the producer put into the record; 0 without one. */
function readSeq(text: string): number {
  if (!text.startsWith('{')) return Number(SEQ_IN_TEXT.exec(text)?.[1] ?? 0);
  try {
    const { metadata } = JSON.parse(text) as { readonly metadata?: { readonly seq?: unknown } };
    return Number(metadata?.seq ?? 0) || 0;
  } catch {
    return 0;
  }
}

/** Every record that the producer says was acknowledged is in the broker, with its number and its content. */
export async function ledgerFileFindings(
  path: string,
  truths: readonly TopicTruth[],
  expected: ExpectedEvents,
): Promise<string[]> {
  // Of several generations of a topic, any may be the one that took it.
  const lanes = new Map<string, LaneTruth[]>();
  for (const { topic, lanes: all } of truths)
    for (const lane of all) {
      const name = `${topic}/${lane.partition}`;
      lanes.set(name, [...(lanes.get(name) ?? []), lane]);
    }
  const text = await readFile(path, 'utf8');
  // A killed producer may leave half a line at the end.
  for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
    if (line === '') continue;
    const [topic = '', partition = '', offset, seq, hash] = line.split('\t');
    const taken = lanes.get(`${topic}/${partition}`) ?? [];
    const isThere = taken.some((lane) => lane.seqAt(Number(offset)) === Number(seq));
    if (!isThere || expected.find(Number(seq))?.hash !== Number(hash)) {
      return [`acknowledged but not in Kafka: ${topic}/${partition}@${offset} seq ${seq}`];
    }
  }
  return [];
}
