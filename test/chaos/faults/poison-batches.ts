/**
 * Record batches that a broker would refuse from a producer, or that no producer makes, written into the segment of a
 * stopped broker as a damaged disk, a broken client of an older broker or an attacker would leave them.
 */
import { appendFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { splitBatches } from '../../../src/bus/undecoded-batches.ts';
import type { DeadLetterReason } from '../../../src/event/reasons.ts';
import type { TestBroker } from '../../support/kafka-broker.ts';
import { type CraftedBatch, craftBatch, sealBatch, zigzag } from '../../support/record-batches.ts';

const MIB = 1024 * 1024;
const LEADER_EPOCH_AT = 12;
const RECORDS_AT = 61;
const UNKNOWN_CODEC = 5;
const GZIP = 1;

export interface PoisonBatch {
  readonly name: string;
  /** How many offsets it takes. */
  readonly recordCount: number;
  /** What becomes of all its records together: one dead letter. */
  readonly reason: DeadLetterReason;
  /** `timestampMs`: the records' time; retention counts from it. */
  craft(baseOffset: number, timestampMs: number): Buffer;
}

/** Batches of three records of which not one can be read. */
export const POISON_BATCHES: readonly PoisonBatch[] = [
  poison('gzip bomb', 'decompression_failed', () => ({ attributes: GZIP, rawRecords: gzipBomb(1024) })),
  poison('gzip cut off', 'decompression_failed', () => {
    const whole = gzipSync(Buffer.alloc(5000, 'cut off '));
    return { attributes: GZIP, rawRecords: whole.subarray(0, whole.length / 2) };
  }),
  poison('not gzip', 'decompression_failed', () => ({
    attributes: GZIP,
    rawRecords: Buffer.from('not gzip at all'),
  })),
  poison('unknown codec', 'unknown_codec', () => ({ attributes: UNKNOWN_CODEC })),
  poison('wrong checksum', 'corrupt_batch', () => ({ crcError: 1 })),
  {
    name: 'records cut off',
    recordCount: 3,
    reason: 'corrupt_batch',
    craft(baseOffset, timestampMs) {
      const bytes = craftBatch(threeRecords(baseOffset, timestampMs));
      // The first record says that it is longer than all that follows.
      bytes.set(zigzag(8000), RECORDS_AT);
      return sealBatch(bytes);
    },
  },
];

function poison(name: string, reason: DeadLetterReason, differs: () => Partial<CraftedBatch>): PoisonBatch {
  return {
    name,
    recordCount: 3,
    reason,
    craft: (baseOffset, timestampMs) =>
      craftBatch({ ...threeRecords(baseOffset, timestampMs), ...differs() }),
  };
}

function threeRecords(baseOffset: number, baseTimestampMs: number): CraftedBatch {
  return { records: [{ value: 'x' }, { value: 'y' }, { value: 'z' }], baseOffset, baseTimestampMs };
}

/** So many MiB of zeros in about as many kB, as a stream of several members. */
function gzipBomb(mebibytes: number): Buffer {
  const memberMib = 16;
  const member = gzipSync(Buffer.alloc(memberMib * MIB), { level: 9 });
  return Buffer.concat(Array.from({ length: mebibytes / memberMib }, () => member));
}

export interface PlacedPoison {
  readonly poison: PoisonBatch;
  readonly partition: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
}

/**
 * Appends batches to one partition, at its end; the broker must have been ended in order (`shutdown`), so that it
 * does not check its segments when it starts again.
 */
export async function appendPoison(
  broker: TestBroker,
  place: { readonly topic: string; readonly partition: number },
  batches: readonly PoisonBatch[],
): Promise<PlacedPoison[]> {
  if (broker.pid !== 0) throw new Error('Stop the broker first.');
  const directory = join(broker.dataDirectory, `${place.topic}-${place.partition}`);
  const segment = (await readdir(directory))
    .filter((name) => name.endsWith('.log'))
    .toSorted()
    .at(-1);
  if (segment === undefined) throw new Error(`No segment in ${directory}`);
  const file = join(directory, segment);
  const last = splitBatches(await readFile(file)).at(-1);
  if (last === undefined) throw new Error(`${file} is empty: produce something first.`);
  let nextOffset = last.lastOffset + 1;
  const placed: PlacedPoison[] = [];
  for (const poison of batches) {
    const bytes = poison.craft(nextOffset, Date.now());
    bytes.writeInt32BE(last.bytes.readInt32BE(LEADER_EPOCH_AT), LEADER_EPOCH_AT);
    await appendFile(file, bytes);
    const lastOffset = nextOffset + poison.recordCount - 1;
    placed.push({ poison, partition: place.partition, firstOffset: nextOffset, lastOffset });
    nextOffset = lastOffset + 1;
  }
  return placed;
}
