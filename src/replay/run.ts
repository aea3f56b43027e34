/**
 * Processes ranges of a topic again: reads them, parses them and hands what comes of it to a store, chunk by chunk.
 */
import type { ParseResult } from '../pipeline/parse-protocol.ts';
import { parseRange } from './parse-range.ts';
import type {
  ChunkBlocks,
  ChunkStore,
  OffsetRange,
  OnBatches,
  Parse,
  ReadBatches,
  WrittenCounts,
} from './ports.ts';

export interface ReplayPorts {
  /** Hands over every range, in order and without gaps. */
  readonly read: (ranges: readonly OffsetRange[], onBatches: OnBatches) => Promise<void>;
  readonly parse: Parse;
  readonly store: ChunkStore;
}

export interface ReplayWork {
  readonly source: number;
  readonly ranges: readonly OffsetRange[];
  /** Stands in for the time of records that carry none; microseconds. */
  readonly receivedUs: number;
  /** Told after each chunk how many offsets it covered. */
  readonly onProgress: (offsetCount: number) => void;
}

/** What became of the records of all ranges. */
export interface ReplayTally extends WrittenCounts {
  /** Records that were read, letters that are never parsed left out. */
  readonly readCount: number;
  /** Records that become neither row nor letter. */
  readonly filteredCount: number;
  /** Letters that parsing cannot judge; they stay as they are. */
  readonly heldCount: number;
}

const NOTHING: ReplayTally = {
  readCount: 0,
  filteredCount: 0,
  heldCount: 0,
  rowCount: 0,
  letterCount: 0,
  keptCount: 0,
};

export async function replay(ports: ReplayPorts, work: ReplayWork): Promise<ReplayTally> {
  let tally = NOTHING;
  await ports.read(work.ranges, async (read) => {
    tally = add(tally, await replayChunk(ports, work, read));
    work.onProgress(read.toOffset - read.fromOffset);
  });
  return tally;
}

async function replayChunk(ports: ReplayPorts, work: ReplayWork, read: ReadBatches): Promise<ReplayTally> {
  const { source, receivedUs } = work;
  const { partition, fromOffset, toOffset } = read;
  const heldOffsets = await ports.store.heldOffsets({ source, partition, fromOffset, toOffset });
  const parsing = { source, receivedUs, heldOffsets, parse: ports.parse };
  let tally: ReplayTally = { ...NOTHING, heldCount: heldOffsets.length };
  let from = fromOffset;
  const put = async (blocks: ChunkBlocks, to: number): Promise<void> => {
    const chunk = { source, partition, fromOffset: from, toOffset: to, receivedUs };
    tally = add(tally, { ...NOTHING, ...(await ports.store.put(chunk, blocks)) });
    from = to;
  };
  // A highly compressed batch gives many results of some MiB each: they are put one by one.
  for await (const result of parseRange(read, parsing)) {
    tally = add(tally, { ...NOTHING, ...countRead(result) });
    await put(result, result.reachedOffset);
  }
  // Offsets behind the last record, and ranges without any.
  if (from < toOffset) await put({ logs: [], deadLetters: [] }, toOffset);
  return tally;
}

function countRead({ receivedCount, filtered }: ParseResult) {
  const filteredCount = Object.values(filtered).reduce((sum, count) => sum + count, 0);
  return { readCount: receivedCount, filteredCount };
}

function add(a: ReplayTally, b: ReplayTally): ReplayTally {
  return {
    readCount: a.readCount + b.readCount,
    filteredCount: a.filteredCount + b.filteredCount,
    heldCount: a.heldCount + b.heldCount,
    rowCount: a.rowCount + b.rowCount,
    letterCount: a.letterCount + b.letterCount,
    keptCount: a.keptCount + b.keptCount,
  };
}
