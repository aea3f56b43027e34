/**
 * The regular expressions of filters: they fit what JavaScript's fit where both have the construct, whatever is
 * asked of them takes time linear in the text, and what cannot is refused. (That RE2 agrees: agreement.test.ts.)
 */
import { createContext, Script } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePattern } from '../../../src/api/filter/pattern.ts';
import { PatternMatcher } from '../../../src/api/filter/pattern-matcher.ts';
import { toRe2 } from '../../../src/api/filter/pattern-tree.ts';
import { patterns, TEXTS } from './filter-texts.ts';

function matcher(pattern: string): PatternMatcher {
  return new PatternMatcher(
    parsePattern(pattern, (problem, at) => Object.assign(new Error(problem), { at })),
  );
}

const fitting = new Script('new RegExp(pattern, flags).test(text)');
/** Where JavaScript goes through more ways than it can in this time, it is not asked. */
const BACKTRACK_MS = 200;

/** Folds case in ASCII only, as filters do; `s` because `.` is any character. Undefined: not to be known. */
function native(pattern: string, text: string): boolean | undefined {
  const isFolded = pattern.startsWith('(?i)');
  const source = isFolded ? pattern.slice('(?i)'.length) : pattern;
  const context = createContext({ pattern: source, flags: isFolded ? 'isu' : 'su', text });
  try {
    return fitting.runInContext(context, { timeout: BACKTRACK_MS }) as boolean;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    return undefined;
  }
}

const texts = fc.oneof(
  fc.constantFrom(...TEXTS),
  fc.string({ unit: fc.constantFrom('a', 'b', 'A', 'e', ' ', '2', 'ß') }),
);
/** JavaScript folds these into ASCII. */
const FOLDED = /[\u212A\u017F]/;

describe('the matcher of regular expressions', () => {
  it('fits what JavaScript fits', () => {
    let unknownCount = 0;
    fc.assert(
      fc.property(patterns, fc.array(texts, { minLength: 5, maxLength: 5 }), (pattern, samples) => {
        // A mark that has no meaning may be escaped here, and not there under `u`.
        fc.pre(!pattern.includes('"') && !(pattern.startsWith('(?i)') && /ß|ώ/.test(pattern)));
        const ours = matcher(pattern);
        for (const text of samples.filter((sample) => !FOLDED.test(sample))) {
          const fits = native(pattern, text);
          if (fits === undefined) unknownCount++;
          const found = ours.matches(text);
          expect([pattern, text, found]).toEqual([pattern, text, fits ?? found]);
        }
      }),
      { numRuns: 200 },
    );
    expect(native('(a|aa)+$b', 'a'.repeat(60))).toBeUndefined();
    expect(unknownCount).toBeLessThan(50);
  }, 120_000);

  it('leaves out what is there no times', () => {
    const tree = parsePattern('x((a{100}){100}){0}y(b{0,0})+', (problem) => new Error(problem));
    expect(toRe2(tree)).toBe('xy(?:)+');
    expect(new PatternMatcher(tree).matches('-xy-')).toBe(true);
    expect(new PatternMatcher(tree).matches('xay')).toBe(false);
  });

  it('takes no longer for expressions that make others backtrack', () => {
    const text = 'a'.repeat(50_000);
    for (const pattern of [
      '(a*)*b',
      '(a|a)*b',
      '(a|aa)+$b',
      '(.*)(.*)(.*)(.*)b',
      'a{0,50}a{50}b',
      '(x+x+)+y',
    ]) {
      const start = process.cpuUsage();
      expect(matcher(pattern).matches(text)).toBe(false);
      expect(process.cpuUsage(start).user).toBeLessThan(5_000_000);
    }
  }, 120_000);

  it('answers rightly when it has forgotten its states', () => {
    // One state per place of an `a` among the last 100: far more than are kept.
    const ours = matcher('a[ab]{99}c');
    const noise = Array.from({ length: 20_000 }, (_, i) =>
      (i * i * 31 + (i >> 3)) % 7 < 3 ? 'a' : 'b',
    ).join('');
    expect(ours.matches(noise)).toBe(false);
    expect(ours.matches(`${noise}a${'b'.repeat(99)}c`)).toBe(true);
    expect(ours.matches(`${noise}a${'b'.repeat(98)}c`)).toBe(noise.at(-1) === 'a');
  });

  it.each([
    ['(?=a)', 0],
    ['(?<n>a)', 0],
    ['a(?i)b', 1],
    [String.raw`(a)\1`, 3],
    [String.raw`\bword`, 0],
    [String.raw`\pL`, 0],
    [String.raw`\x41`, 0],
    ['a\\', 1],
    ['[[:alpha:]]', 1],
    ['[]a]', 0],
    ['[z-a]', 1],
    [String.raw`[a-\d]`, 1],
    ['[a', 0],
    ['(a', 0],
    ['a)', 1],
    ['*a', 0],
    ['a**', 2],
    ['a++', 2],
    ['^*', 1],
    ['a{2,1}', 1],
    ['a{101}', 1],
    ['a{x}', 1],
    ['(|a{50}){90}', 0],
  ])('refuses %s and points into it', (pattern, at) => {
    expect(() => matcher(pattern)).toThrow(expect.objectContaining({ at }));
  });
});
