/**
 * A regular expression as a tree, and as the text that ClickHouse's RE2 is given. That text is written anew from the
 * tree, in the few constructs that mean the same everywhere, so the two engines cannot read it differently.
 */

export type Range = readonly [first: number, last: number];

export type PatternTree =
  /** One character out of the ranges of code points, which are sorted and apart. */
  | { readonly kind: 'set'; readonly ranges: readonly Range[] }
  | { readonly kind: 'begin' | 'end' }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly PatternTree[] }
  | { readonly kind: 'repeat'; readonly part: PatternTree; readonly min: number; readonly max: number };

export const LAST_CODE_POINT = 0x10_ff_ff;
const FIRST_PRINTABLE = 0x20;
const SPECIAL = /[\\^$.|?*+()[\]{}/-]/;

/** Sorted and joined. */
export function toSet(ranges: readonly Range[]): PatternTree & { kind: 'set' } {
  const joined: [number, number][] = [];
  for (const [first, last] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const previous = joined.at(-1);
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last);
    else joined.push([first, last]);
  }
  return { kind: 'set', ranges: joined };
}

/** All characters that are in none of the ranges. */
export function complement(ranges: readonly Range[]): Range[] {
  const rest: Range[] = [];
  let next = 0;
  for (const [first, last] of toSet(ranges).ranges) {
    if (first > next) rest.push([next, first - 1]);
    next = last + 1;
  }
  if (next <= LAST_CODE_POINT) rest.push([next, LAST_CODE_POINT]);
  return rest;
}

/** The steps that the matcher and RE2 need, repetitions written out. */
export function stepsOf(tree: PatternTree): number {
  switch (tree.kind) {
    case 'set':
    case 'begin':
    case 'end':
      return 1;
    case 'sequence':
    case 'choice':
      return tree.parts.reduce((sum, part) => sum + stepsOf(part) + 1, 0);
    case 'repeat': {
      const times = tree.max === Number.POSITIVE_INFINITY ? tree.min + 1 : tree.max;
      return times * (stepsOf(tree.part) + 1);
    }
    default:
      return tree satisfies never;
  }
}

export function toRe2(tree: PatternTree): string {
  switch (tree.kind) {
    case 'set':
      return setText(tree.ranges);
    case 'begin':
      return String.raw`\A`;
    case 'end':
      return String.raw`\z`;
    case 'sequence':
      return tree.parts.map(toRe2).join('');
    case 'choice':
      return `(?:${tree.parts.map(toRe2).join('|')})`;
    case 'repeat':
      return `(?:${toRe2(tree.part)})${quantifier(tree.min, tree.max)}`;
    default:
      return tree satisfies never;
  }
}

function setText(ranges: readonly Range[]): string {
  const [first, last] = ranges[0] ?? [0, 0];
  if (ranges.length === 1 && first === last && first >= FIRST_PRINTABLE) {
    const character = String.fromCodePoint(first);
    return SPECIAL.test(character) ? `\\${character}` : character;
  }
  return `[${ranges.map(([from, to]) => (from === to ? hex(from) : `${hex(from)}-${hex(to)}`)).join('')}]`;
}

function hex(codePoint: number): string {
  return `\\x{${codePoint.toString(16)}}`;
}

function quantifier(min: number, max: number): string {
  if (max !== Number.POSITIVE_INFINITY) return min === 0 && max === 1 ? '?' : `{${min},${max}}`;
  return min > 1 ? `{${min},}` : min === 1 ? '+' : '*';
}
