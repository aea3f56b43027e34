/**
 * Rows of a lane that were stored already when it was taken over: found by offset and record time, since an offset
 * alone may have been given anew to another record (a partition that was cut off and went on).
 */
import type { BlockTable, PresentRows } from './ports.ts';

export type PresentByTable = Readonly<Record<BlockTable, PresentRows>>;

const NONE: PresentRows = { offsets: new Float64Array(), times: new Float64Array() };

export const NOTHING_PRESENT: PresentByTable = { logs: NONE, dead_letters: NONE };

/** The rows with offsets in [fromOffset, toOffset), in memory of their own; undefined when there are none. */
export function slicePresent(
  { logs, dead_letters: letters }: PresentByTable,
  fromOffset: number,
  toOffset: number,
): PresentByTable | undefined {
  const slice = {
    logs: sliceRows(logs, fromOffset, toOffset),
    dead_letters: sliceRows(letters, fromOffset, toOffset),
  };
  return slice.logs.offsets.length + slice.dead_letters.offsets.length === 0 ? undefined : slice;
}

/** One past the highest offset; 0 without rows. */
export function presentEnd({ logs, dead_letters: letters }: PresentByTable): number {
  return Math.max(logs.offsets.at(-1) ?? -1, letters.offsets.at(-1) ?? -1) + 1;
}

function sliceRows({ offsets, times }: PresentRows, fromOffset: number, toOffset: number): PresentRows {
  const [from, to] = [firstAtOrPast(offsets, fromOffset), firstAtOrPast(offsets, toOffset)];
  if (from === to) return NONE;
  // Copies: a part of a typed array would be sent to the worker with all the memory behind it.
  return { offsets: offsets.slice(from, to), times: times.slice(from, to) };
}

function firstAtOrPast(offsets: Float64Array, offset: number): number {
  let [low, high] = [0, offsets.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((offsets[middle] as number) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Asks for one record after another, by ascending offset. */
export class PresentWalk {
  readonly #rows: PresentRows;
  #cursor = 0;

  constructor(rows: PresentRows) {
    this.#rows = rows;
  }

  /** `timeUs` undefined: the record carries no time of its own, and the offset alone decides. */
  has(offset: number, timeUs: number | undefined): boolean {
    const { offsets, times } = this.#rows;
    while (this.#cursor < offsets.length && (offsets[this.#cursor] as number) < offset) this.#cursor++;
    for (let i = this.#cursor; offsets[i] === offset; i++) {
      if (timeUs === undefined || times[i] === timeUs) return true;
    }
    return false;
  }
}
