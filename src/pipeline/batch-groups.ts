/** Batches of a delivery joined to what a parse worker gets at once. */
import type { Stretch } from './arena.ts';
import type { Delivery, FetchedBatch } from './ports.ts';

/** Record batches are joined up to this size: about 2,000 events, the grain of work for a parse worker. */
const CHUNK_BYTES = 512 * 1024;

interface BatchGroup {
  readonly batches: FetchedBatch[];
  bytes: number;
  /** Exclusive. */
  toOffset: number;
}

/** Consecutive batches joined up to the chunk size; those wholly below `fromOffset` are left out. */
export function groupBatches(batches: readonly FetchedBatch[], fromOffset: number): BatchGroup[] {
  const groups: BatchGroup[] = [];
  for (const batch of batches) {
    if (batch.lastOffset < fromOffset) continue;
    const last = groups.at(-1);
    if (last !== undefined && last.bytes + batch.bytes.byteLength <= CHUNK_BYTES) {
      last.batches.push(batch);
      last.bytes += batch.bytes.byteLength;
      last.toOffset = batch.lastOffset + 1;
    } else {
      groups.push({ batches: [batch], bytes: batch.bytes.byteLength, toOffset: batch.lastOffset + 1 });
    }
  }
  return groups;
}

export function copyBatches(batches: readonly FetchedBatch[], stretch: Stretch): void {
  const target = new Uint8Array(stretch.memory, stretch.start, stretch.length);
  let position = 0;
  for (const { bytes } of batches) {
    target.set(bytes, position);
    position += bytes.byteLength;
  }
}

export function bytesOf({ batches }: Delivery): number {
  return batches.reduce((sum, { bytes }) => sum + bytes.length, 0);
}
