/**
 * The way from record batches as Kafka keeps them to records: walking, checksum and decompression per codec, against
 * kafkajs's stock decoding of the same bytes in the same run; and the way in: framing bodies and packing batches.
 * Run against the build: npx tsc -p tsconfig.build.json && node dist/bench/codecs.js
 */
import { createRequire } from 'node:module';
import { availableParallelism, cpus } from 'node:os';
import { Decoder as ZstdDecoder } from '@toondepauw/node-zstd';
import { uncompressSync } from 'snappy';
import { Bench } from 'tinybench';
import { frameBodies } from '../src/collect/framing.ts';
import type { Decompress } from '../src/parse/codecs/codec.ts';
import { GrowableBuffer } from '../src/parse/codecs/growable-buffer.ts';
import { decompressGzip } from '../src/parse/codecs/gzip.ts';
import { decompressLz4 } from '../src/parse/codecs/lz4.ts';
import { decompressSnappy } from '../src/parse/codecs/snappy.ts';
import { decompressZstd } from '../src/parse/codecs/zstd.ts';
import { RecordBatchReader } from '../src/parse/record-batch.ts';
import type { BodyFormat } from '../src/pipeline/parse-protocol.ts';
import { createGenerator } from '../src/produce/generator.ts';
import { type CraftedCodec, compress, craftBatch, shared } from '../test/support/record-batches.ts';

const BATCH_COUNT = 4;
const BATCH_RECORDS = 2000;
const RECORD_COUNT = BATCH_COUNT * BATCH_RECORDS;
const START_US = 1_714_566_896_000_000;

const DECOMPRESSORS = {
  gzip: decompressGzip,
  snappy: decompressSnappy,
  xerial: decompressSnappy,
  lz4: decompressLz4,
  zstd: decompressZstd,
} as const satisfies Record<Exclude<CraftedCodec, 'none'>, Decompress>;

const CODECS = ['none', 'gzip', 'snappy', 'xerial', 'lz4', 'zstd'] as const;
type Codec = (typeof CODECS)[number];

const generator = createGenerator({ kind: 'logs', seed: 7, startUs: START_US, rate: 1000 });
const values = Array.from({ length: RECORD_COUNT }, () => generator.next().value);
const text = Buffer.from(values.join('\n'));

/** The same records in each codec, as `BATCH_COUNT` batches one behind the other. */
function stretchOf(codec: Codec): Uint8Array {
  const batches = Array.from({ length: BATCH_COUNT }, (_, index) => {
    const records = values.slice(index * BATCH_RECORDS, (index + 1) * BATCH_RECORDS);
    return craftBatch({
      codec,
      baseOffset: index * BATCH_RECORDS,
      baseTimestampMs: START_US / 1000,
      records: records.map((value, offset) => ({ key: 'host-1', value, timestampDelta: offset })),
    });
  });
  return shared(Buffer.concat(batches));
}

interface KafkajsInternals {
  readonly Decoder: new (bytes: Buffer) => object;
  readonly decodeMessages: (decoder: object) => Promise<readonly unknown[]>;
  readonly compression: {
    readonly Codecs: Record<number, () => { decompress(bytes: Buffer): Promise<Buffer> }>;
  };
}

/** kafkajs's own decoder, with the usual native packages for the codecs it lacks. It has none for LZ4 frames. */
function loadKafkajs(): KafkajsInternals {
  const load = createRequire(import.meta.url);
  const compression = load('kafkajs/src/protocol/message/compression') as KafkajsInternals['compression'];
  const zstd = new ZstdDecoder();
  compression.Codecs[2] = () => ({ decompress: (bytes) => Promise.resolve(uncompressXerial(bytes)) });
  compression.Codecs[4] = () => ({ decompress: (bytes) => Promise.resolve(zstd.decodeSync(bytes)) });
  return {
    Decoder: load('kafkajs/src/protocol/decoder') as KafkajsInternals['Decoder'],
    decodeMessages: load(
      'kafkajs/src/protocol/requests/fetch/v4/decodeMessages',
    ) as KafkajsInternals['decodeMessages'],
    compression,
  };
}

function uncompressXerial(bytes: Buffer): Buffer {
  if (bytes[0] !== 0x82) return Buffer.from(uncompressSync(bytes));
  const parts: Buffer[] = [];
  for (let at = 16; at < bytes.length; ) {
    const length = bytes.readInt32BE(at);
    parts.push(Buffer.from(uncompressSync(bytes.subarray(at + 4, at + 4 + length))));
    at += 4 + length;
  }
  return Buffer.concat(parts);
}

const reader = new RecordBatchReader();

function walk(memory: Uint8Array): void {
  reader.reset({ memory, start: 0, length: memory.length, firstOffset: 0 });
  let valueBytes = 0;
  while (reader.nextBatch()) {
    while (reader.next()) valueBytes += reader.valueEnd - reader.valueStart;
  }
  if (reader.receivedCount !== RECORD_COUNT || valueBytes === 0) throw new Error('records are missing');
}

const bench = new Bench({ time: 1000, warmupTime: 500 });
const kafkajs = loadKafkajs();

for (const codec of CODECS) {
  const memory = stretchOf(codec);
  bench.add(`${codec}: walk`, () => walk(memory));
  if (codec === 'lz4') continue;
  const fetched = Buffer.concat([Buffer.alloc(4), memory]);
  fetched.writeInt32BE(memory.length, 0);
  bench.add(`${codec}: kafkajs`, async () => {
    const records = await kafkajs.decodeMessages(new kafkajs.Decoder(fetched));
    if (records.length !== RECORD_COUNT) throw new Error('records are missing');
  });
}

const output = new GrowableBuffer(256 * 1024 * 1024);
for (const [codec, decompress] of Object.entries(DECOMPRESSORS)) {
  const bytes = shared(compress(codec as Exclude<CraftedCodec, 'none'>, text));
  bench.add(`${codec}: decompress`, () => {
    output.reset();
    if (decompress({ bytes, start: 0, end: bytes.length }, output) !== 'ok')
      throw new Error('not decompressed');
  });
}

function addFraming(name: string, format: BodyFormat, content: string): void {
  const bytes = shared(Buffer.from(content));
  const memory = bytes.buffer as SharedArrayBuffer;
  const body = { memory, start: 0, length: bytes.length, format, receivedMs: START_US / 1000 };
  bench.add(name, () => {
    const { recordCount } = frameBodies({ kind: 'frame', bodies: [body] });
    if (recordCount !== RECORD_COUNT) throw new Error('records are missing');
  });
}
addFraming('frame: ndjson', 'ndjson', values.join('\n'));
addFraming('frame: json array', 'json', `[${values.join(',')}]`);

await bench.run();

/** Median time of one run in nanoseconds; NaN when there is no such task. */
function nanoseconds(name: string): number {
  const result = bench.getTask(name)?.result;
  return result !== undefined && 'latency' in result ? result.latency.p50 * 1e6 : NaN;
}

console.log(`Node ${process.version}, ${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores`);
console.log(
  `${RECORD_COUNT} records in ${BATCH_COUNT} batches, ${Math.round(text.length / RECORD_COUNT)} bytes each`,
);
console.table(
  CODECS.map((codec) => {
    const ours = nanoseconds(`${codec}: walk`);
    const theirs = nanoseconds(`${codec}: kafkajs`);
    return {
      codec,
      'ns/record': (ours / RECORD_COUNT).toFixed(0),
      'kafkajs ns/record': (theirs / RECORD_COUNT).toFixed(0),
      ratio: (ours / theirs).toFixed(3),
      'decompression MB/s': ((text.length * 1000) / nanoseconds(`${codec}: decompress`)).toFixed(0),
    };
  }),
);
console.table(
  ['frame: ndjson', 'frame: json array'].map((task) => ({
    task,
    'ns/record': (nanoseconds(task) / RECORD_COUNT).toFixed(0),
    'MB/s': ((text.length * 1000) / nanoseconds(task)).toFixed(0),
  })),
);
