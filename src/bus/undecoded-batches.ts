/**
 * Makes kafkajs hand on record batches as fetched instead of decoding them: one pseudo-message per batch.
 * Two of its modules are replaced: the decoder of fetched bytes, and the filter of aborted transactions, which
 * must judge whole batches. Layout: Kafka protocol, "Record Batch" (magic 2) and "Message Set" (magic 0 and 1).
 */
import {
  BATCH_MAGIC,
  BatchAttribute,
  BatchLayout,
  LENGTH_PREFIX_BYTES,
} from '../parse/record-batch-header.ts';
import type { FetchedBatch } from '../pipeline/ports.ts';

const TRANSACTIONAL = 0x10;
const ABORT_MARKER = 0;

/** What kafkajs sees as a message. `offset` is the batch's last one, so that resolving it moves past the batch. */
export class UndecodedBatch implements FetchedBatch {
  readonly bytes: Buffer;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly offset: string;
  readonly isControlRecord: boolean;
  readonly isTransactional: boolean;
  /** As the decimal string that kafkajs compares with. */
  readonly producerId: string;

  constructor(bytes: Buffer) {
    const isV2 = bytes.length >= BatchLayout.records && bytes[BatchLayout.magic] === BATCH_MAGIC;
    const attributes = isV2 ? bytes.readInt16BE(BatchLayout.attributes) : 0;
    this.bytes = bytes;
    this.baseOffset = Number(bytes.readBigInt64BE(0));
    // Of an old message set the field is the offset of the message, or of the last one inside a compressed one.
    this.lastOffset =
      this.baseOffset + (isV2 ? Math.max(0, bytes.readInt32BE(BatchLayout.lastOffsetDelta)) : 0);
    this.offset = String(this.lastOffset);
    this.isControlRecord = (attributes & BatchAttribute.control) !== 0;
    this.isTransactional = (attributes & TRANSACTIONAL) !== 0;
    this.producerId = isV2 ? bytes.readBigInt64BE(BatchLayout.producerId).toString() : '-1';
  }

  /** A control batch that ends a transaction by aborting it. Compaction may have left it without its record. */
  get isAbortMarker(): boolean {
    return this.isControlRecord && controlType(this.bytes) === ABORT_MARKER;
  }
}

/** The part of kafkajs's Decoder that is used here. */
interface BytesReader {
  readInt32(): number;
  canReadBytes(length: number): boolean;
  readBytes(length: number): Buffer;
}

/**
 * Replaces `protocol/requests/fetch/v4/decodeMessages.js`. Batches of old formats, with a wrong CRC or an
 * unknown codec pass like any other: the parse worker judges them. A batch cut off at the end is left for the
 * next fetch; the broker sends the first one whole even when it is larger than asked for.
 */
export function decodeUndecoded(reader: BytesReader): Promise<UndecodedBatch[]> {
  const size = reader.readInt32();
  if (size <= 0 || !reader.canReadBytes(size)) return Promise.resolve([]);
  return Promise.resolve(splitBatches(reader.readBytes(size)));
}

/** Splits fetched bytes at batch boundaries, without copying. */
export function splitBatches(bytes: Buffer): UndecodedBatch[] {
  const batches: UndecodedBatch[] = [];
  let start = 0;
  while (bytes.length - start > BatchLayout.magic) {
    const length = bytes.readInt32BE(start + BatchLayout.batchLength);
    // A length that cannot hold the version byte is damage: no later boundary can be trusted.
    const isDamaged = length <= BatchLayout.magic - LENGTH_PREFIX_BYTES;
    const end = isDamaged ? bytes.length : start + LENGTH_PREFIX_BYTES + length;
    if (end > bytes.length) break;
    batches.push(new UndecodedBatch(bytes.subarray(start, end)));
    start = end;
  }
  return batches;
}

interface FetchedPartition {
  readonly messages: readonly UndecodedBatch[];
  readonly abortedTransactions?: readonly { readonly producerId: string; readonly firstOffset: string }[];
}

/**
 * Replaces `consumer/filterAbortedMessages.js`, which enters one aborted transaction per message at most (two
 * that began before the fetched offset would leak) and takes any message with a key of four NULs for a marker.
 * Same rule as the Java consumer: enter all transactions that began up to the batch's last offset.
 */
export function dropAborted({ messages, abortedTransactions }: FetchedPartition): readonly UndecodedBatch[] {
  if (abortedTransactions === undefined || abortedTransactions.length === 0) return messages;
  const coming = abortedTransactions
    .map(({ producerId, firstOffset }) => ({ producerId, firstOffset: Number(firstOffset) }))
    .toSorted((a, b) => a.firstOffset - b.firstOffset);
  const abortingProducers = new Set<string>();
  let next = 0;
  return messages.filter((batch) => {
    for (; next < coming.length; next++) {
      const transaction = coming[next];
      if (transaction === undefined || transaction.firstOffset > batch.lastOffset) break;
      abortingProducers.add(transaction.producerId);
    }
    if (batch.isAbortMarker) abortingProducers.delete(batch.producerId);
    return batch.isControlRecord || !batch.isTransactional || !abortingProducers.has(batch.producerId);
  });
}

/** Type of the first record of a control batch (KIP-98: key = version int16, type int16); -1 without one. */
function controlType(bytes: Buffer): number {
  // Record: length, attributes (one byte), timestamp delta, offset delta, key length; the rest are varints.
  let at = skipVarint(bytes, BatchLayout.records) + 1;
  at = skipVarint(bytes, skipVarint(bytes, at));
  at = skipVarint(bytes, at);
  return at + 4 <= bytes.length ? bytes.readInt16BE(at + 2) : -1;
}

function skipVarint(bytes: Buffer, start: number): number {
  let at = start;
  while ((bytes[at] ?? 0) >= 0x80) at++;
  return at + 1;
}
