/**
 * Zstandard: Node's own decoder where it has one (22.15 and later), else libzstd as WebAssembly (zstddec).
 * Native packages were passed over: they free their results only when the event loop turns, which a busy worker's
 * need not. Frames are measured first, because zstddec wants the size of the output and checks nothing else.
 */
import zlib from 'node:zlib';
import type { CompressedSpan, DecompressOutcome } from './codec.ts';
import type { GrowableBuffer } from './growable-buffer.ts';
import { measureZstdFrame } from './zstd-frame.ts';

/** Content of one frame, which is at most `maxContentBytes` long and not empty; throws when it is not valid. */
type DecodeFrame = (frame: Uint8Array, maxContentBytes: number) => Uint8Array;

/** Awaited while the module loads, so that decoding itself never waits. */
const decodeFrame: DecodeFrame | undefined = builtInDecoder() ?? (await webAssemblyDecoder());

export function decompressZstd(input: CompressedSpan, output: GrowableBuffer): DecompressOutcome {
  if (decodeFrame === undefined) return 'unavailable';
  const view = new DataView(input.bytes.buffer, input.bytes.byteOffset, input.bytes.byteLength);
  let at = input.start;
  while (at < input.end) {
    const frame = measureZstdFrame(view, at, input.end);
    if (frame === undefined) return 'corrupt';
    const { maxContentBytes } = frame;
    if (maxContentBytes > output.maxBytes - output.length) return 'too_large';
    if (maxContentBytes > 0) {
      try {
        if (!output.append(decodeFrame(input.bytes.subarray(at, frame.end), maxContentBytes)))
          return 'too_large';
      } catch {
        return 'corrupt';
      }
    }
    at = frame.end;
  }
  return 'ok';
}

function builtInDecoder(): DecodeFrame | undefined {
  const decompress: unknown = Reflect.get(zlib, 'zstdDecompressSync');
  if (typeof decompress !== 'function') return undefined;
  return (frame, maxContentBytes) => {
    const content: unknown = decompress(frame, { maxOutputLength: maxContentBytes });
    if (!(content instanceof Uint8Array)) throw new TypeError('zstdDecompressSync gave no bytes');
    return content;
  };
}

async function webAssemblyDecoder(): Promise<DecodeFrame | undefined> {
  try {
    const { ZSTDDecoder } = await import('zstddec');
    const decoder = new ZSTDDecoder();
    await decoder.init();
    return (frame, maxContentBytes) => {
      const content = decoder.decode(frame, maxContentBytes);
      // The package takes libzstd's error codes, which are negative, for lengths: what comes out is empty.
      if (content.length === 0) throw new RangeError('the frame is not valid or has no content');
      return content;
    };
  } catch {
    return undefined;
  }
}
