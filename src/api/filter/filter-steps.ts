/**
 * The size of a filter's regular expressions, which is what a log may cost that is held against them.
 */
import type { Filter } from './ast.ts';
import { parsePattern } from './pattern.ts';
import { stepsOf } from './pattern-tree.ts';

/** Of all expressions together, repetitions written out. */
export function filterSteps(filter: Filter): number {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return filter.parts.reduce((sum, part) => sum + filterSteps(part), 0);
    case 'not':
      return filterSteps(filter.part);
    case 'matches':
      return stepsOf(parsePattern(filter.pattern, (problem) => new Error(problem)));
    case 'exists':
    case 'equals':
    case 'compare':
    case 'contains':
    case 'prefix':
    case 'within':
    case 'words':
      return 0;
    default:
      return filter satisfies never;
  }
}
