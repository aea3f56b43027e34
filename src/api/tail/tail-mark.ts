/**
 * What a client of the live tail has: everything up to a position in the order of storing, and of some lanes everything
 * below an offset. The former is what ClickHouse can be asked for; the latter is known before anybody asks.
 */
import type { LaneKey } from '../../pipeline/ports.ts';
import { decodeKeyset, encodeKeyset, type KeysetSeal } from '../keyset-cursor.ts';
import type { LogPosition } from '../logs/cursor.ts';
import { badRequest } from '../problem.ts';

/** `stored_at` is the clock of ClickHouse in whole seconds; the rest makes the order total. */
export interface TailPosition extends LogPosition {
  /** Seconds since the epoch; infinite for what was stored a moment ago. */
  readonly storedS: number;
}

export interface TailMark {
  readonly position: TailPosition;
  /** By `laneNumber`, exclusive. */
  readonly lanes: ReadonlyMap<number, number>;
}

const NO_LANES: ReadonlyMap<number, number> = new Map();
const PARTITIONS = 65_536;
const RADIX = 36;

export function laneNumber({ source, partition }: LaneKey): number {
  return source * PARTITIONS + partition;
}

/** Before everything that was stored in that second or later, after everything before. */
export function startOf(storedS: number): TailPosition {
  return { storedS, timestampUs: Number.MIN_SAFE_INTEGER, source: 0, partition: 0, offset: 0 };
}

export function markAt(position: TailPosition, lanes: TailMark['lanes'] = NO_LANES): TailMark {
  return { position, lanes };
}

/** Negative, 0 or positive, as `a` lies before, at or after `b`. */
export function comparePositions(a: TailPosition, b: TailPosition): number {
  // Two infinite ones are of the same time.
  const seconds = a.storedS === b.storedS ? 0 : a.storedS - b.storedS;
  return (
    seconds ||
    a.timestampUs - b.timestampUs ||
    a.source - b.source ||
    a.partition - b.partition ||
    a.offset - b.offset
  );
}

/** Whether who has the mark has the log. */
export function covers({ position, lanes }: TailMark, log: TailPosition): boolean {
  return comparePositions(log, position) <= 0 || log.offset < (lanes.get(laneNumber(log)) ?? 0);
}

/** Whether who has `b` has all of `a`, as far as the marks alone can tell. */
export function isWithin(a: TailMark, b: TailMark): boolean {
  if (comparePositions(a.position, b.position) > 0) return false;
  return [...a.lanes].every(([lane, offset]) => offset <= (b.lanes.get(lane) ?? 0));
}

/** What both have together. */
export function joinMarks(a: TailMark, b: TailMark): TailMark {
  const position = comparePositions(a.position, b.position) > 0 ? a.position : b.position;
  if (a.lanes.size === 0) return { position, lanes: b.lanes };
  const lanes = new Map(a.lanes);
  for (const [lane, offset] of b.lanes) lanes.set(lane, Math.max(offset, lanes.get(lane) ?? 0));
  return { position, lanes };
}

export function encodeMark({ position, lanes }: TailMark, seal: KeysetSeal): string {
  const { storedS, timestampUs, source, partition, offset } = position;
  return encodeKeyset([storedS, timestampUs, source, partition, offset, lanesText(lanes)], seal);
}

/** Throws `bad_request` for what was not given out for this filter and scope. */
export function decodeMark(text: string, seal: KeysetSeal): TailMark {
  const [storedS, timestampUs, source, partition, offset, lanes, ...more] = decodeKeyset(text, seal);
  if (typeof lanes !== 'string' || more.length > 0) throw badRequest('The cursor does not belong to a tail.');
  const position = {
    storedS: Number(storedS),
    timestampUs: Number(timestampUs),
    source: Number(source),
    partition: Number(partition),
    offset: Number(offset),
  };
  return { position, lanes: readLanes(lanes) };
}

function lanesText(lanes: TailMark['lanes']): string {
  let text = '';
  for (const [lane, offset] of lanes) text += `${lane.toString(RADIX)}.${offset.toString(RADIX)} `;
  return text;
}

function readLanes(text: string): TailMark['lanes'] {
  const pairs = text.split(' ').filter((pair) => pair !== '');
  return new Map(
    pairs.map((pair) => {
      const [lane = '', offset = ''] = pair.split('.');
      return [Number.parseInt(lane, RADIX), Number.parseInt(offset, RADIX)];
    }),
  );
}
