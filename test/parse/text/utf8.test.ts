import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { invalidUtf8At, repairedBytesMax, repairUtf8 } from '../../../src/parse/text/utf8.ts';

function repair(bytes: Uint8Array): string {
  const target = new Uint8Array(repairedBytesMax(bytes.length));
  const length = repairUtf8(bytes, { start: 0, end: bytes.length }, target);
  return Buffer.from(target.subarray(0, length)).toString();
}

const pieces = fc.oneof(
  fc.uint8Array({ maxLength: 6 }),
  fc.string({ unit: 'grapheme' }).map((text) => new Uint8Array(Buffer.from(text))),
  fc.constantFrom(...['f09f98', 'e282', 'c0af', 'eda080', 'f4908080', 'f8', 'ef bb bf'].map(fromHex)),
);
const texts = fc.array(pieces, { maxLength: 8 }).map((parts) => new Uint8Array(Buffer.concat(parts)));

function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

test('UTF-8 repair gives what the platform decoder gives', () => {
  fc.assert(
    fc.property(texts, (bytes) => {
      expect(repair(bytes)).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
    }),
    { numRuns: 2000 },
  );
});

test('UTF-8 check finds the first invalid byte, and nothing in valid text', () => {
  fc.assert(
    fc.property(texts, (bytes) => {
      const at = invalidUtf8At(bytes, 0, bytes.length);
      const before = at === -1 ? bytes : bytes.subarray(0, at);
      expect({ isValid: at === -1, isValidBefore: isUtf8(before) }).toEqual({
        isValid: isUtf8(bytes),
        isValidBefore: true,
      });
    }),
    { numRuns: 2000 },
  );
});
