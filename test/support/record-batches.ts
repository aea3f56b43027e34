/**
 * Crafts Kafka record batches byte by byte, independently of the program's own builder: any codec, attributes,
 * checksum, counts and deltas, sound or broken.
 */
import { gzipSync } from 'node:zlib';
import { crc32c } from '@node-rs/crc32';
import { Encoder } from '@toondepauw/node-zstd';
import { compressFrameSync } from 'lz4-napi';
import { compressSync as compressSnappySync } from 'snappy';

export interface CraftedRecord {
  readonly key?: Uint8Array | string | null;
  readonly value: Uint8Array | string | null;
  readonly headers?: readonly (readonly [string, string | null])[];
  /** Default: its index. */
  readonly offsetDelta?: number;
  /** Default 0. */
  readonly timestampDelta?: number;
}

export type CraftedCodec = 'none' | 'gzip' | 'snappy' | 'xerial' | 'lz4' | 'zstd';

export interface CraftedBatch {
  readonly records: readonly CraftedRecord[];
  readonly baseOffset?: number;
  readonly codec?: CraftedCodec;
  readonly baseTimestampMs?: number;
  readonly maxTimestampMs?: number;
  /** Further attribute bits: 8 LogAppendTime, 16 transactional, 32 control. */
  readonly attributes?: number;
  readonly recordsCount?: number;
  readonly lastOffsetDelta?: number;
  /** Added to the true checksum. */
  readonly crcError?: number;
  /** Stands in for the encoded (and compressed) records. */
  readonly rawRecords?: Uint8Array;
}

const CODEC_NUMBERS = { none: 0, gzip: 1, snappy: 2, xerial: 2, lz4: 3, zstd: 4 } as const;

/** The whole batch, with its checksum. */
export function craftBatch(batch: CraftedBatch): Buffer {
  const codec = batch.codec ?? 'none';
  const body = batch.rawRecords ?? compress(codec, encodeRecords(batch.records));
  const lastRecord = batch.records.at(-1);
  const lastDelta = lastRecord?.offsetDelta ?? batch.records.length - 1;
  const bytes = Buffer.alloc(61 + body.length);
  bytes.writeBigInt64BE(BigInt(batch.baseOffset ?? 0), 0);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes.writeInt32BE(0, 12);
  bytes.writeInt8(2, 16);
  bytes.writeUInt16BE((batch.attributes ?? 0) | CODEC_NUMBERS[codec], 21);
  bytes.writeInt32BE(batch.lastOffsetDelta ?? lastDelta, 23);
  bytes.writeBigInt64BE(BigInt(batch.baseTimestampMs ?? 0), 27);
  bytes.writeBigInt64BE(BigInt(batch.maxTimestampMs ?? batch.baseTimestampMs ?? 0), 35);
  bytes.writeBigInt64BE(-1n, 43);
  bytes.writeInt16BE(-1, 51);
  bytes.writeInt32BE(-1, 53);
  bytes.writeInt32BE(batch.recordsCount ?? batch.records.length, 57);
  bytes.set(body, 61);
  return sealBatch(bytes, batch.crcError ?? 0);
}

/** Writes the checksum of a batch whose bytes were changed by hand. */
export function sealBatch(bytes: Buffer, crcError = 0): Buffer {
  bytes.writeUInt32BE((crc32c(bytes.subarray(21)) + crcError) >>> 0, 17);
  return bytes;
}

export function encodeRecords(records: readonly CraftedRecord[]): Buffer {
  return Buffer.concat(
    records.map((record, index) => {
      const body = Buffer.concat([
        Buffer.from([0]),
        zigzag(record.timestampDelta ?? 0),
        zigzag(record.offsetDelta ?? index),
        sized(record.key ?? null),
        sized(record.value),
        zigzag(record.headers?.length ?? 0),
        ...(record.headers ?? []).flatMap(([name, value]) => [sized(name), sized(value)]),
      ]);
      return Buffer.concat([zigzag(body.length), body]);
    }),
  );
}

/** Zigzag varint of up to 64 bits. */
export function zigzag(value: number | bigint): Buffer {
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
  const bytes: number[] = [];
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function sized(bytes: Uint8Array | string | null): Buffer {
  if (bytes === null) return zigzag(-1);
  const buffer = Buffer.from(bytes);
  return Buffer.concat([zigzag(buffer.length), buffer]);
}

const COMPRESSORS = {
  none: (input) => input,
  gzip: (input) => gzipSync(input),
  snappy: (input) => compressSnappySync(input),
  xerial: (input) => xerial(input),
  lz4: (input) => compressFrameSync(input),
  zstd: (input) => new Encoder(3).encodeSync(input),
} as const satisfies Record<CraftedCodec, (input: Buffer) => Uint8Array>;

export function compress(codec: CraftedCodec, bytes: Uint8Array): Uint8Array {
  return COMPRESSORS[codec](Buffer.from(bytes));
}

/** The stream that Java's producers write: a header, then raw snappy blocks of 32 KiB with their lengths. */
export function xerial(bytes: Buffer, blockBytes = 32 * 1024): Buffer {
  const parts = [Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])];
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const block = Buffer.from(compressSnappySync(bytes.subarray(at, at + blockBytes)));
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

/** The same bytes in shared memory, as parse workers get them, with `before` bytes ahead and none behind. */
export function shared(bytes: Uint8Array, before = 0): Uint8Array {
  const view = new Uint8Array(new SharedArrayBuffer(before + bytes.length));
  view.set(bytes, before);
  return view;
}
