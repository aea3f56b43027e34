// oxlint-disable complexity -- one loop with its positions in locals: 1.5 times the speed of small functions (bench/codecs.ts)
/** Decoder of the elements of a raw snappy block. Format: snappy format_description.txt, section 2. */
import { BULK_BYTES } from './block-copy.ts';
import type { BlockCursor } from './codec.ts';

const SHORT_LITERAL_CODES = 60;

/**
 * Decodes literals and copies, `inputPos` to `inputEnd`, and moves both positions. False, with the positions
 * unmoved, when they are not valid or outgrow `outputLimit`. Copies go by four bytes and may scribble on the slack.
 */
export function decodeSnappyElements(cursor: BlockCursor): boolean {
  const { input, inputView, inputEnd, output, outputView, outputBase, outputLimit } = cursor;
  const lastWordAt = inputView.byteLength - 4;
  let from = cursor.inputPos;
  let to = cursor.outputPos;
  while (from < inputEnd) {
    const tag = input[from++] ?? 0;
    let length = (tag >>> 2) + 1;
    if ((tag & 3) === 0) {
      if (length > SHORT_LITERAL_CODES) {
        // The length stands in the next one to four bytes.
        const byteCount = length - SHORT_LITERAL_CODES;
        length = 1;
        for (let index = 0; index < byteCount; index++) length += (input[from++] ?? 0) * 2 ** (8 * index);
      }
      if (length > inputEnd - from || length > outputLimit - to) return false;
      if (length > BULK_BYTES || from + length > lastWordAt) {
        output.set(input.subarray(from, from + length), to);
      } else {
        for (let done = 0; done < length; done += 4) {
          outputView.setUint32(to + done, inputView.getUint32(from + done, true), true);
        }
      }
      from += length;
      to += length;
      continue;
    }
    let distance = input[from++] ?? 0;
    if ((tag & 3) === 1) {
      length = ((tag >>> 2) & 7) + 4;
      distance |= (tag >>> 5) << 8;
    } else {
      distance |= (input[from++] ?? 0) << 8;
      if ((tag & 3) === 3) {
        distance += ((input[from] ?? 0) + (input[from + 1] ?? 0) * 256) * 65_536;
        from += 2;
      }
    }
    if (from > inputEnd || distance === 0 || distance > to - outputBase || length > outputLimit - to)
      return false;
    const source = to - distance;
    // A copy has at most 64 bytes.
    if (distance < 4) {
      for (let done = 0; done < length; done++) output[to + done] = output[source + done] ?? 0;
    } else {
      for (let done = 0; done < length; done += 4) {
        outputView.setUint32(to + done, outputView.getUint32(source + done, true), true);
      }
    }
    to += length;
  }
  cursor.inputPos = from;
  cursor.outputPos = to;
  return true;
}
