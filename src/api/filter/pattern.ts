/**
 * Reads the regular expressions of filters: characters, `.`, classes, groups, `|`, `* + ? {n,m}`, `^` and `$` for
 * the ends of the text, and `(?i)` in front for ASCII letters of any case. What needs memory of what was matched
 * (references, looking ahead or back) does not exist, so any expression takes time linear in the text.
 */
import { complement, LAST_CODE_POINT, type PatternTree, type Range, stepsOf, toSet } from './pattern-tree.ts';

/** Makes the error for the character at an index of the expression. */
export type PatternFail = (message: string, at: number) => Error;

const MAX_PATTERN_CHARACTERS = 200;
const MAX_STEPS = 300;
const MAX_REPEAT = 100;
const MAX_NESTING = 10;

const DIGITS: Range[] = [range('0', '9')];
const WORD: Range[] = [...DIGITS, range('A', 'Z'), range('_', '_'), range('a', 'z')];
const SPACE: Range[] = [range('\t', '\n'), range('\f', '\r'), range(' ', ' ')];
const CLASSES: ReadonlyMap<string, readonly Range[]> = new Map<string, readonly Range[]>([
  ['d', DIGITS],
  ['D', complement(DIGITS)],
  ['w', WORD],
  ['W', complement(WORD)],
  ['s', SPACE],
  ['S', complement(SPACE)],
  ['t', [range('\t', '\t')]],
  ['n', [range('\n', '\n')]],
  ['r', [range('\r', '\r')]],
]);
const PUNCTUATION = /^[!-/:-@[-`{-~]$/;
const QUANTIFIER = /^(?:[*+?]|\{(\d{1,3})(,(\d{1,3})?)?\})/;
const NO_CASE = '(?i)';
/** Between a letter of ASCII and the same in the other case. */
const CASE_DISTANCE = 0x20;

function range(first: string, last: string): Range {
  return [first.charCodeAt(0), last.charCodeAt(0)];
}

/** Throws what `fail` makes. */
export function parsePattern(text: string, fail: PatternFail): PatternTree {
  if (text.length > MAX_PATTERN_CHARACTERS) {
    throw fail(
      `a regular expression has at most ${MAX_PATTERN_CHARACTERS} characters`,
      MAX_PATTERN_CHARACTERS,
    );
  }
  const tree = new PatternReader(text, fail).read();
  if (stepsOf(tree) > MAX_STEPS) {
    throw fail(`the regular expression is too large: written out it may have ${MAX_STEPS} steps`, 0);
  }
  return tree;
}

class PatternReader {
  readonly #text: string;
  readonly #fail: PatternFail;
  readonly #ignoresCase: boolean;
  #at = 0;
  #nesting = 0;

  constructor(text: string, fail: PatternFail) {
    this.#text = text;
    this.#fail = fail;
    this.#ignoresCase = text.startsWith(NO_CASE);
    if (this.#ignoresCase) this.#at = NO_CASE.length;
  }

  read(): PatternTree {
    const tree = this.#choice();
    if (this.#at < this.#text.length) throw this.#fail('this ) closes nothing; write \\)', this.#at);
    return tree;
  }

  #choice(): PatternTree {
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'choice', parts };
  }

  #sequence(): PatternTree {
    const parts: PatternTree[] = [];
    while (this.#at < this.#text.length && !this.#isNext('|') && !this.#isNext(')'))
      parts.push(this.#repeat());
    return { kind: 'sequence', parts };
  }

  #repeat(): PatternTree {
    const part = this.#atom();
    const at = this.#at;
    const match = QUANTIFIER.exec(this.#text.slice(at));
    if (match === null) return part;
    this.#at += match[0].length;
    // Whether as much or as little as possible is taken makes no difference to whether it matches.
    this.#take('?');
    const { min, max } = bounds(match);
    if (min > max || min > MAX_REPEAT || (max > MAX_REPEAT && max !== Number.POSITIVE_INFINITY)) {
      throw this.#fail(`a repetition goes from few to more, up to ${MAX_REPEAT}`, at);
    }
    if (part.kind === 'begin' || part.kind === 'end') throw this.#fail('there is nothing to repeat', at);
    if (/^[*+?{]/.test(this.#text.slice(this.#at))) {
      throw this.#fail('a repetition cannot be repeated; put it in a group', this.#at);
    }
    // RE2 counts the steps of what is there no times, and may refuse them.
    return max === 0 ? { kind: 'sequence', parts: [] } : { kind: 'repeat', part, min, max };
  }

  #atom(): PatternTree {
    const at = this.#at;
    const character = this.#next();
    switch (character) {
      case '(':
        return this.#group(at);
      case '[':
        return this.#class(at);
      case '.':
        return toSet([[0, LAST_CODE_POINT]]);
      case '^':
        return { kind: 'begin' };
      case '$':
        return { kind: 'end' };
      case '\\':
        return toSet(this.#withCase(this.#escape()));
      case '*':
      case '+':
      case '?':
      case '{':
        throw this.#fail(`there is nothing to repeat; write \\${character} for the character`, at);
      default:
        return toSet(this.#withCase(single(character)));
    }
  }

  #group(at: number): PatternTree {
    if (this.#isNext('?') && !this.#take('?:')) {
      throw this.#fail('of the groups with a ? there is only (?:…), and (?i) at the very beginning', at);
    }
    this.#nesting += 1;
    if (this.#nesting > MAX_NESTING) throw this.#fail(`groups are nested at most ${MAX_NESTING} deep`, at);
    const tree = this.#choice();
    if (!this.#take(')')) throw this.#fail('this ( is not closed; write \\( for the character', at);
    this.#nesting -= 1;
    return tree;
  }

  #class(at: number): PatternTree {
    const isNegated = this.#take('^');
    const ranges: Range[] = [];
    // A ] that stands first is refused by what follows: the class would be empty.
    while (!this.#isNext(']')) {
      if (this.#at >= this.#text.length)
        throw this.#fail('this [ is not closed; write \\[ for the character', at);
      ranges.push(...this.#classItem());
    }
    this.#at += 1;
    if (ranges.length === 0) throw this.#fail('the class is empty; write \\] for the character', at);
    const folded = this.#withCase(ranges);
    return toSet(isNegated ? complement(folded) : folded);
  }

  #classItem(): readonly Range[] {
    const at = this.#at;
    if (this.#isNext('[:'))
      throw this.#fail('named classes do not exist; write \\d, \\w, \\s or a range', at);
    const first = this.#classCharacter();
    const isRange = this.#isNext('-') && !this.#isNext('-]');
    if (!isRange) return first;
    this.#at += 1;
    const last = this.#classCharacter();
    const [from, to] = [oneOf(first), oneOf(last)];
    if (from === undefined || to === undefined || from > to) {
      throw this.#fail('a range goes from one character to a later one; write \\- for the character', at);
    }
    return [[from, to]];
  }

  #classCharacter(): readonly Range[] {
    const character = this.#next();
    return character === '\\' ? this.#escape() : single(character);
  }

  #escape(): readonly Range[] {
    const at = this.#at - 1;
    const character = this.#next();
    const known = CLASSES.get(character);
    if (known !== undefined) return known;
    if (PUNCTUATION.test(character)) return single(character);
    throw this.#fail('after \\ there can be one of d D w W s S t n r, or a mark', at);
  }

  #withCase(ranges: readonly Range[]): readonly Range[] {
    if (!this.#ignoresCase) return ranges;
    const upper = clip(ranges, range('A', 'Z')).map(
      ([a, b]): Range => [a + CASE_DISTANCE, b + CASE_DISTANCE],
    );
    const lower = clip(ranges, range('a', 'z')).map(
      ([a, b]): Range => [a - CASE_DISTANCE, b - CASE_DISTANCE],
    );
    return [...ranges, ...upper, ...lower];
  }

  #isNext(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    const isNext = this.#isNext(text);
    if (isNext) this.#at += text.length;
    return isNext;
  }

  /** The character here, whole; the empty text at the end. */
  #next(): string {
    const codePoint = this.#text.codePointAt(this.#at);
    const character = codePoint === undefined ? '' : String.fromCodePoint(codePoint);
    this.#at += character.length;
    return character;
  }
}

function single(character: string): Range[] {
  const codePoint = character.codePointAt(0) ?? 0;
  return [[codePoint, codePoint]];
}

function oneOf(ranges: readonly Range[]): number | undefined {
  const [[first, last] = [0, 1]] = ranges;
  return ranges.length === 1 && first === last ? first : undefined;
}

function clip(ranges: readonly Range[], [least, most]: Range): Range[] {
  return ranges
    .map(([first, last]): Range => [Math.max(first, least), Math.min(last, most)])
    .filter(([first, last]) => first <= last);
}

function bounds([text, min, comma, max]: RegExpExecArray): { readonly min: number; readonly max: number } {
  if (min === undefined) {
    return { min: text === '+' ? 1 : 0, max: text === '?' ? 1 : Number.POSITIVE_INFINITY };
  }
  const most = comma === undefined ? min : max;
  return { min: Number(min), max: most === undefined ? Number.POSITIVE_INFINITY : Number(most) };
}
