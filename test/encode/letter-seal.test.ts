import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { type LetterPlace, LetterSeal, SEAL_BYTES } from '../../src/encode/letter-seal.ts';

const KEY = Uint8Array.from({ length: 32 }, (_, index) => index);
const OTHER = new Uint8Array(32).fill(7);
const PLACE: LetterPlace = {
  source: 255,
  partition: 16_383,
  offset: 2 ** 40 + 1,
  toOffset: 2 ** 40 + 2,
  recordTimeUs: 1_767_323_045_678_901,
  content: 'record',
};

test.each([0, 1, 15, 16, 17, 1000, 1_000_001])('%i bytes come back as they were', (length) => {
  const plain = randomBytes(length);
  const seal = new LetterSeal([KEY]);
  const sealed = seal.seal(PLACE, plain);
  expect(sealed.length).toBe(length + SEAL_BYTES);
  expect(Buffer.from(seal.open(PLACE, sealed)).equals(plain)).toBe(true);
});

test('memory that threads share is sealed like any other', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(64)).subarray(8, 40);
  shared.set(randomBytes(32));
  const seal = new LetterSeal([KEY]);
  expect(seal.seal(PLACE, shared)).toEqual(seal.seal(PLACE, Uint8Array.from(shared)));
});

test('the same letter always gives the same bytes, in every thread', () => {
  const plain = Buffer.from('the same');
  expect(new LetterSeal([KEY]).seal(PLACE, plain)).toEqual(new LetterSeal([KEY, OTHER]).seal(PLACE, plain));
});

test('no two letters have the same nonce', () => {
  const seal = new LetterSeal([KEY]);
  const nonceOf = (place: Partial<LetterPlace>, text: string): string =>
    Buffer.from(seal.seal({ ...PLACE, ...place }, Buffer.from(text))).toString('hex', 9, 21);
  const nonces = [
    nonceOf({}, 'a'),
    nonceOf({}, 'b'),
    nonceOf({ source: 1 }, 'a'),
    nonceOf({ partition: 1 }, 'a'),
    nonceOf({ offset: 1 }, 'a'),
    nonceOf({ toOffset: 1 }, 'a'),
    nonceOf({ recordTimeUs: 1 }, 'a'),
    nonceOf({ content: 'batches' }, 'a'),
  ];
  expect(new Set(nonces).size).toBe(nonces.length);
});

test('a byte that was altered, and a letter in another place, do not open', () => {
  const seal = new LetterSeal([KEY]);
  const sealed = seal.seal(PLACE, Buffer.from('four score and seven'));
  for (let at = 0; at < sealed.length; at += 1) {
    const altered = Uint8Array.from(sealed);
    altered[at] = (altered[at] ?? 0) ^ 1;
    expect(() => seal.open(PLACE, altered), `byte ${at}`).toThrow(/altered|not sealed|KEY_FILE/);
  }
  const places: Partial<LetterPlace>[] = [
    { source: 1 },
    { partition: 1 },
    { offset: 1 },
    { toOffset: 1 },
    { recordTimeUs: 1 },
    { content: 'batches' },
  ];
  for (const place of places) expect(() => seal.open({ ...PLACE, ...place }, sealed)).toThrow('altered');
  expect(() => seal.open(PLACE, sealed.subarray(0, -1))).toThrow('altered');
  expect(() => seal.open(PLACE, new Uint8Array(0))).toThrow('not sealed');
});

test('another key is named, and no key is shown', () => {
  const sealed = new LetterSeal([KEY]).seal(PLACE, Buffer.from('x'));
  const open = (): unknown => new LetterSeal([OTHER]).open(PLACE, sealed);
  expect(open).toThrow(/^The letter is sealed with key [0-9a-f]{16}; KEY_FILE holds [0-9a-f]{16}\.$/);
  expect(open).not.toThrow(Buffer.from(KEY).toString('hex', 0, 8));
  const rotated = new LetterSeal([OTHER, KEY]);
  expect(Buffer.from(rotated.open(PLACE, sealed)).toString()).toBe('x');
  const none = new LetterSeal([]);
  expect(() => none.seal(PLACE, Buffer.from('x'))).toThrow('need a key');
  expect(() => none.open(PLACE, sealed)).toThrow('KEY_FILE holds none.');
  expect(() => new LetterSeal([new Uint8Array(16)])).toThrow('32 bytes');
});
