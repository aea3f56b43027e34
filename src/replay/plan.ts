/**
 * Which offsets a replay works on: what was asked for, clipped to what Kafka still has and to what the live program
 * has done with. The program works at and past the end of a lane's ledger, a replay only below it: they never meet.
 */
import { MillraceError, quoteValue } from '../errors.ts';
import type { OffsetRange, TopicView } from './ports.ts';

/** A place in a topic: an offset, the same for every partition, or a time. */
export type ReplayPoint =
  | { readonly kind: 'offset'; readonly offset: number }
  | { readonly kind: 'time'; readonly timeMs: number };

export interface ReplayRequest {
  readonly topic: string;
  readonly from: ReplayPoint;
  /** Exclusive; absent: to the end of what was processed. */
  readonly to?: ReplayPoint | undefined;
  /** Absent: all. */
  readonly partitions?: readonly number[] | undefined;
}

/** Why a range is shorter than what was asked for. */
export type ClipReason = 'deleted_by_kafka' | 'past_the_end' | 'not_processed_yet' | 'never_processed';

export interface Clip {
  readonly reason: ClipReason;
  /** Offset that was asked for, and what it became. */
  readonly askedOffset: number;
  readonly offset: number;
}

export interface PlannedRange extends OffsetRange {
  readonly clips: readonly Clip[];
}

/** End of the ledger (exclusive) by partition; partitions without any are absent. */
export type LedgerEnds = ReadonlyMap<number, number>;

/**
 * The ranges by ascending partition, empty ones included (`fromOffset` = `toOffset`). Throws `usage` for a partition
 * that the topic does not have, `unprocessable` when every range is empty.
 */
export function planRanges(request: ReplayRequest, view: TopicView, ledgerEnds: LedgerEnds): PlannedRange[] {
  const { topic, partitions } = request;
  const known = new Set(view.partitions.map(({ partition }) => partition));
  for (const partition of partitions ?? []) {
    if (known.has(partition)) continue;
    const count = `${known.size} partition${known.size === 1 ? '' : 's'}`;
    throw new MillraceError(
      'usage',
      `Topic ${quoteValue(topic)} has no partition ${partition}, it has ${count}.`,
    );
  }
  const ranges = view.partitions
    .filter(({ partition }) => partitions === undefined || partitions.includes(partition))
    .toSorted((a, b) => a.partition - b.partition)
    .map((bounds) => planRange(request, { bounds, view, ledgerEnd: ledgerEnds.get(bounds.partition) }));
  if (ranges.every(({ fromOffset, toOffset }) => fromOffset >= toOffset)) {
    throw new MillraceError(
      'unprocessable',
      `Nothing to replay of topic ${quoteValue(topic)}: ${whyEmpty(ranges)}.`,
    );
  }
  return ranges;
}

interface PartitionFacts {
  readonly bounds: TopicView['partitions'][number];
  readonly view: TopicView;
  readonly ledgerEnd: number | undefined;
}

function planRange(request: ReplayRequest, facts: PartitionFacts): PlannedRange {
  const { partition, earliestOffset, endOffset } = facts.bounds;
  const askedFrom = resolve(request.from, facts);
  const askedTo = request.to === undefined ? undefined : resolve(request.to, facts);
  if (facts.ledgerEnd === undefined) {
    const clip: Clip = { reason: 'never_processed', askedOffset: askedFrom, offset: askedFrom };
    return { partition, fromOffset: askedFrom, toOffset: askedFrom, clips: [clip] };
  }
  const clips: Clip[] = [];
  const fromOffset = Math.max(askedFrom, earliestOffset);
  if (fromOffset > askedFrom)
    clips.push({ reason: 'deleted_by_kafka', askedOffset: askedFrom, offset: fromOffset });
  let toOffset = askedTo ?? facts.ledgerEnd;
  for (const [reason, limit] of [
    ['past_the_end', endOffset],
    ['not_processed_yet', facts.ledgerEnd],
  ] as const) {
    if (toOffset <= limit) continue;
    clips.push({ reason, askedOffset: toOffset, offset: limit });
    toOffset = limit;
  }
  return { partition, fromOffset: Math.min(fromOffset, Math.max(toOffset, 0)), toOffset, clips };
}

function resolve(point: ReplayPoint, { bounds, view }: PartitionFacts): number {
  if (point.kind === 'offset') return point.offset;
  return view.offsetsAt.get(point.timeMs)?.get(bounds.partition) ?? bounds.endOffset;
}

/** What a clip did, in words. */
export function clipText({ reason, askedOffset, offset }: Clip): string {
  switch (reason) {
    case 'deleted_by_kafka':
      return `Kafka has deleted the records from ${askedOffset} to ${offset - 1}`;
    case 'past_the_end':
      return `the partition ends at ${offset}, not at ${askedOffset}`;
    case 'not_processed_yet':
      return `records from ${offset} on are the running program's: they are not in the ledger yet`;
    case 'never_processed':
      return 'nothing of this partition is in the ledger: it was never processed';
    default:
      return reason satisfies never;
  }
}

const MAX_REASONS = 3;

function whyEmpty(ranges: readonly PlannedRange[]): string {
  const reasons = ranges.map(({ partition, toOffset, clips }) => {
    const why = clips.map(clipText).join('; ');
    return `partition ${partition}: ${why === '' ? `no processed record lies between --from and ${toOffset}` : why}`;
  });
  const more = reasons.length > MAX_REASONS ? ` (and ${reasons.length - MAX_REASONS} more)` : '';
  return reasons.slice(0, MAX_REASONS).join(', ') + more;
}
