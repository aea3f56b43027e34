// oxlint-disable complexity -- one loop with its positions in locals: 1.5 times the speed of small functions (bench/codecs.ts)
/** LZ4 block decoder. Format: lz4_Block_format.md. Bounded on both sides; bench: bench/codecs.ts. */
import { BULK_BYTES, repeatLong } from './block-copy.ts';
import type { BlockCursor } from './codec.ts';

const MIN_MATCH = 4;
const LONG_LENGTH = 15;

/**
 * Decodes one block, `inputPos` to `inputEnd`, and moves both positions. False, with the positions unmoved,
 * when it is not valid or outgrows `outputLimit`. Copies go by four bytes and may scribble on the slack.
 */
export function decodeLz4Block(cursor: BlockCursor): boolean {
  const { input, inputView, inputEnd, output, outputView, outputBase, outputLimit } = cursor;
  // The last literals may end where the memory does; there four bytes cannot be read.
  const lastWordAt = inputView.byteLength - 4;
  let from = cursor.inputPos;
  let to = cursor.outputPos;
  while (from < inputEnd) {
    const token = input[from++] ?? 0;
    let literals = token >>> 4;
    if (literals === LONG_LENGTH) {
      let byte = 255;
      while (byte === 255 && from < inputEnd) {
        byte = input[from++] ?? 0;
        literals += byte;
      }
    }
    if (literals > inputEnd - from || literals > outputLimit - to) return false;
    if (literals > BULK_BYTES || from + literals > lastWordAt) {
      output.set(input.subarray(from, from + literals), to);
    } else {
      for (let done = 0; done < literals; done += 4) {
        outputView.setUint32(to + done, inputView.getUint32(from + done, true), true);
      }
    }
    from += literals;
    to += literals;
    // A block ends with literals; nothing follows its last ones.
    if (from === inputEnd) {
      cursor.inputPos = from;
      cursor.outputPos = to;
      return true;
    }
    if (from + 2 > inputEnd) return false;
    const distance = (input[from] ?? 0) | ((input[from + 1] ?? 0) << 8);
    from += 2;
    let length = (token & 15) + MIN_MATCH;
    if (length === LONG_LENGTH + MIN_MATCH) {
      let byte = 255;
      while (byte === 255 && from < inputEnd) {
        byte = input[from++] ?? 0;
        length += byte;
      }
    }
    if (distance === 0 || distance > to - outputBase || length > outputLimit - to) return false;
    const source = to - distance;
    if (length > BULK_BYTES) {
      repeatLong({ output, from: source, to, end: to + length });
    } else if (distance < 4) {
      for (let done = 0; done < length; done++) output[to + done] = output[source + done] ?? 0;
    } else {
      for (let done = 0; done < length; done += 4) {
        outputView.setUint32(to + done, outputView.getUint32(source + done, true), true);
      }
    }
    to += length;
  }
  return false;
}
