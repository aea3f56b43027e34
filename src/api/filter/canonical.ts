/**
 * One form for filters that are equal but for order, nesting, repetition and double negation, and its text: those
 * who share what a filter finds do it by this key.
 */
import type { Filter, Network } from './ast.ts';

/** Equal for equal filters; says all of the filter. */
export function filterKey(filter: Filter): string {
  return JSON.stringify(canonicalFilter(filter));
}

export function canonicalFilter(filter: Filter): Filter {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return canonicalGroup(filter.kind, filter.parts);
    case 'not':
      return canonicalNot(filter.part);
    case 'equals':
      return equals(filter.field, filter.values);
    case 'within':
      return { kind: 'within', field: filter.field, networks: sortedNetworks(filter.networks) };
    case 'words':
      return { kind: 'words', words: sorted(filter.words), phrases: sorted(filter.phrases) };
    // Written out, so that their members have one order whoever made them.
    case 'exists':
      return { kind: 'exists', field: filter.field };
    case 'compare':
      return { kind: 'compare', field: filter.field, order: filter.order, value: filter.value };
    case 'contains':
    case 'prefix':
      return { kind: filter.kind, field: filter.field, text: filter.text };
    case 'matches':
      return { kind: 'matches', field: filter.field, pattern: filter.pattern };
    default:
      return filter satisfies never;
  }
}

function canonicalNot(part: Filter): Filter {
  const inner = canonicalFilter(part);
  return inner.kind === 'not' ? inner.part : { kind: 'not', part: inner };
}

function canonicalGroup(kind: 'and' | 'or', given: readonly Filter[]): Filter {
  const flat = given.map(canonicalFilter).flatMap((part) => (part.kind === kind ? part.parts : [part]));
  const parts = kind === 'or' ? joinLists(flat) : flat;
  const byKey = new Map(parts.map((part) => [JSON.stringify(part), part]));
  const unique = [...byKey].toSorted(([a], [b]) => compare(a, b)).map(([, part]) => part);
  const [only] = unique;
  return unique.length === 1 && only !== undefined ? only : { kind, parts: unique };
}

/** `a = 1 or a = 2` is `a in (1, 2)`. */
function joinLists(parts: readonly Filter[]): Filter[] {
  const values = new Map<string, string[]>();
  const networks = new Map<string, Network[]>();
  const others: Filter[] = [];
  for (const part of parts) {
    if (part.kind === 'equals') values.set(part.field, [...(values.get(part.field) ?? []), ...part.values]);
    else if (part.kind === 'within') {
      networks.set(part.field, [...(networks.get(part.field) ?? []), ...part.networks]);
    } else others.push(part);
  }
  const lists = [...values].map(([field, all]) => equals(field, all));
  const ranges = [...networks].map(
    ([field, all]): Filter => ({ kind: 'within', field, networks: sortedNetworks(all) }),
  );
  return [...others, ...lists, ...ranges];
}

function equals(field: string, values: readonly string[]): Filter {
  return { kind: 'equals', field, values: sorted(values) };
}

function sorted(values: readonly string[]): string[] {
  return [...new Set(values)].toSorted(compare);
}

function sortedNetworks(networks: readonly Network[]): Network[] {
  const byKey = new Map(networks.map(({ first, last }) => [`${first}-${last}`, { first, last }]));
  return [...byKey].toSorted(([a], [b]) => compare(a, b)).map(([, network]) => network);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
