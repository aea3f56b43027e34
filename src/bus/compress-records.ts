/**
 * Compression of the records of a batch that is produced. gzip is Node's own and zstd comes with the program;
 * snappy and lz4 need a package that is looked up when first asked for. Numbers and framings: Kafka protocol.
 */
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import zlib, { gzip } from 'node:zlib';
import { errorMessage, MillraceError } from '../errors.ts';

export const PRODUCE_CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
export type ProduceCodec = (typeof PRODUCE_CODECS)[number];

/** Number of the codec in a batch's attributes. */
export const CODEC_NUMBERS = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const satisfies Record<
  ProduceCodec,
  number
>;

type Compress = (bytes: Buffer) => Promise<Buffer>;

const require = createRequire(import.meta.url);
const compressGzip = promisify(gzip);
/** Fast ones: what is produced here is load, and its sender shares the machine with what is measured. */
const GZIP_LEVEL = 1;
const ZSTD_LEVEL = 1;
/** Magic, version 1, compatible with 1: the framing of Java's SnappyOutputStream, which Kafka expects. */
const SNAPPY_HEADER = Buffer.from('82534e41505059000000000100000001', 'hex');
const SNAPPY_BLOCK_BYTES = 64 << 10;

const COMPRESSORS = {
  none: () => (bytes) => Promise.resolve(bytes),
  gzip: () => (bytes) => compressGzip(bytes, { level: GZIP_LEVEL }),
  snappy: () => {
    const { compress } = load('snappy', 'snappy') as { readonly compress: Compress };
    return (bytes) => compressSnappyBlocks(bytes, compress);
  },
  lz4: () => (load('lz4-napi', 'lz4') as { readonly compressFrame: Compress }).compressFrame,
  zstd: zstdCompressor,
} as const satisfies Record<ProduceCodec, () => Compress>;

/** How to compress with `codec`. Throws `platform_unsupported` when its package is not installed. */
export function compressorOf(codec: ProduceCodec): Compress {
  return COMPRESSORS[codec]();
}

function zstdCompressor(): Compress {
  const builtIn: unknown = Reflect.get(zlib, 'zstdCompress');
  if (typeof builtIn === 'function') return promisify(builtIn as typeof gzip) as Compress;
  const { Encoder } = load('@toondepauw/node-zstd', 'zstd') as {
    readonly Encoder: new (level: number) => { encode: Compress };
  };
  return (bytes) => new Encoder(ZSTD_LEVEL).encode(bytes);
}

async function compressSnappyBlocks(bytes: Buffer, compress: Compress): Promise<Buffer> {
  const parts: Buffer[] = [SNAPPY_HEADER];
  for (let start = 0; start < bytes.length; start += SNAPPY_BLOCK_BYTES) {
    const block = await compress(bytes.subarray(start, start + SNAPPY_BLOCK_BYTES));
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

function load(name: string, codec: ProduceCodec): unknown {
  try {
    return require(name);
  } catch (error) {
    throw new MillraceError(
      'platform_unsupported',
      `Cannot compress with ${codec}: the package ${name} cannot be loaded (${errorMessage(error)}).`,
      { cause: error },
    );
  }
}
