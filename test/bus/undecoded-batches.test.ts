import { describe, expect, it } from 'vitest';
import {
  decodeUndecoded,
  dropAborted,
  splitBatches,
  UndecodedBatch,
} from '../../src/bus/undecoded-batches.ts';

interface Frame {
  readonly baseOffset: number;
  readonly count?: number;
  readonly magic?: number;
  readonly attributes?: number;
  readonly producerId?: number;
  readonly records?: Buffer;
}

const TRANSACTIONAL = 0x10;
const CONTROL = 0x30;
/** A record without deltas whose key is version 0 and the type: 0 abort, 1 commit. */
const markerOf = (type: number): Buffer => Buffer.from([0x16, 0, 0, 0, 8, 0, 0, 0, type, 1, 0]);

function frame({
  baseOffset,
  count = 1,
  magic = 2,
  attributes = 0,
  producerId = -1,
  records,
}: Frame): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(61), records ?? Buffer.from('records')]);
  bytes.writeBigInt64BE(BigInt(baseOffset), 0);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes.writeInt8(magic, 16);
  bytes.writeInt16BE(attributes, 21);
  bytes.writeInt32BE(count - 1, 23);
  bytes.writeBigInt64BE(BigInt(producerId), 43);
  bytes.writeInt32BE(count, 57);
  return bytes;
}

const offsetsOf = (batches: readonly UndecodedBatch[]): number[][] =>
  batches.map(({ baseOffset, lastOffset }) => [baseOffset, lastOffset]);

describe('splitBatches', () => {
  it('gives one batch per record batch, with its own bytes and offsets', () => {
    const frames = [frame({ baseOffset: 5, count: 3 }), frame({ baseOffset: 2 ** 40, count: 200_000 })];
    const batches = splitBatches(Buffer.concat(frames));
    expect(offsetsOf(batches)).toEqual([
      [5, 7],
      [2 ** 40, 2 ** 40 + 199_999],
    ]);
    expect(batches.map(({ bytes }) => bytes)).toEqual(frames);
    expect(batches[1]!.offset).toBe(String(2 ** 40 + 199_999));
  });

  it('leaves a batch that is cut off for the next fetch, wherever the cut is', () => {
    const whole = frame({ baseOffset: 0 });
    const next = frame({ baseOffset: 1 });
    for (let cut = 0; cut < next.length; cut++) {
      expect(offsetsOf(splitBatches(Buffer.concat([whole, next.subarray(0, cut)])))).toEqual([[0, 0]]);
    }
  });

  it('hands on old message sets, at the offset they carry', () => {
    const frames = [
      frame({ baseOffset: 8, magic: 0 }),
      frame({ baseOffset: 9, magic: 1 }),
      frame({ baseOffset: 10 }),
    ];
    const batches = splitBatches(Buffer.concat(frames));
    expect(offsetsOf(batches)).toEqual([
      [8, 8],
      [9, 9],
      [10, 10],
    ]);
  });

  it.each([0, -1, 4])('hands on the rest as one batch behind a length of %i', (length) => {
    const damaged = frame({ baseOffset: 1 });
    damaged.writeInt32BE(length, 8);
    const batches = splitBatches(
      Buffer.concat([frame({ baseOffset: 0 }), damaged, frame({ baseOffset: 2 })]),
    );
    expect(batches.map(({ bytes }) => bytes.length)).toEqual([68, 136]);
  });

  it('hands on a batch too short for its header', () => {
    const short = frame({ baseOffset: 3 }).subarray(0, 30);
    short.writeInt32BE(18, 8);
    expect(offsetsOf(splitBatches(short))).toEqual([[3, 3]]);
  });
});

describe('decodeUndecoded', () => {
  const readerOf = (size: number, bytes: Buffer) => ({
    readInt32: () => size,
    canReadBytes: (length: number) => length <= bytes.length,
    readBytes: (length: number) => bytes.subarray(0, length),
  });

  it('gives nothing for no bytes and for fewer than announced', async () => {
    const bytes = frame({ baseOffset: 0 });
    expect(await decodeUndecoded(readerOf(-1, bytes))).toEqual([]);
    expect(await decodeUndecoded(readerOf(0, bytes))).toEqual([]);
    expect(await decodeUndecoded(readerOf(bytes.length + 1, bytes))).toEqual([]);
    expect(await decodeUndecoded(readerOf(bytes.length, bytes))).toHaveLength(1);
  });
});

describe('dropAborted', () => {
  const data = (baseOffset: number, producerId: number): Buffer =>
    frame({ baseOffset, producerId, attributes: TRANSACTIONAL });
  const marker = (baseOffset: number, producerId: number, type: number): Buffer =>
    frame({ baseOffset, producerId, attributes: CONTROL, records: markerOf(type) });
  const kept = (
    frames: Buffer[],
    abortedTransactions: { producerId: string; firstOffset: string }[],
  ): number[] =>
    dropAborted({ messages: splitBatches(Buffer.concat(frames)), abortedTransactions })
      .filter(({ isControlRecord }) => !isControlRecord)
      .map(({ baseOffset }) => baseOffset);

  it('drops from the begin of a transaction to its abort marker, and of its producer only', () => {
    const frames = [data(0, 7), data(1, 8), data(2, 7), marker(3, 7, 0), data(4, 7), marker(5, 7, 1)];
    expect(kept(frames, [{ producerId: '7', firstOffset: '0' }])).toEqual([1, 4]);
  });

  it('enters every transaction that began before what was fetched', () => {
    const frames = [
      data(100, 9),
      data(101, 8),
      marker(102, 7, 0),
      marker(103, 8, 0),
      marker(104, 9, 0),
      data(105, 9),
    ];
    const aborted = [
      { producerId: '9', firstOffset: '30' },
      { producerId: '7', firstOffset: '10' },
      { producerId: '8', firstOffset: '20' },
    ];
    expect(kept(frames, aborted)).toEqual([105]);
  });

  it('does not take a commit marker or a compacted control batch for an abort', () => {
    const empty = frame({ baseOffset: 2, producerId: 7, attributes: CONTROL, records: Buffer.alloc(0) });
    const frames = [data(0, 7), marker(1, 7, 1), empty, data(3, 7)];
    expect(kept(frames, [{ producerId: '7', firstOffset: '0' }])).toEqual([]);
  });

  it('keeps what a producer sent outside of transactions', () => {
    const frames = [frame({ baseOffset: 0, producerId: 7 }), data(1, 7)];
    expect(kept(frames, [{ producerId: '7', firstOffset: '0' }])).toEqual([0]);
  });

  it('is an UndecodedBatch that knows markers', () => {
    expect(new UndecodedBatch(marker(0, 7, 0)).isAbortMarker).toBe(true);
    expect(new UndecodedBatch(marker(0, 7, 1)).isAbortMarker).toBe(false);
    expect(new UndecodedBatch(data(0, 7)).isAbortMarker).toBe(false);
  });
});
