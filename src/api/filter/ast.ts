/**
 * What a filter of logs means, whoever wrote it: the language of `filter=` and the plain query parameters alike.
 * Plain data, so that equal filters can be told by their text (canonical.ts); a test is true or false of any log,
 * never unknown.
 */

export type Order = '<' | '<=' | '>' | '>=';

/** Addresses from `first` to `last`, as IPv6 text of eight groups of four digits: such texts sort as addresses do. */
export interface Network {
  readonly first: string;
  readonly last: string;
}

/** `field` is a name of fields.ts; values are in the form that its column has. */
export type Test =
  | { readonly kind: 'exists'; readonly field: string }
  /** Any of `values`. */
  | { readonly kind: 'equals'; readonly field: string; readonly values: readonly string[] }
  | { readonly kind: 'compare'; readonly field: string; readonly order: Order; readonly value: string }
  | { readonly kind: 'contains'; readonly field: string; readonly text: string }
  | { readonly kind: 'prefix'; readonly field: string; readonly text: string }
  /** `pattern` is one that `parsePattern` takes. */
  | { readonly kind: 'matches'; readonly field: string; readonly pattern: string }
  | { readonly kind: 'within'; readonly field: string; readonly networks: readonly Network[] }
  /** The message has all of it, in lower case (ASCII): words anywhere, phrases as given. */
  | { readonly kind: 'words'; readonly words: readonly string[]; readonly phrases: readonly string[] };

export type TestOf<Kind extends Test['kind']> = Extract<Test, { readonly kind: Kind }>;
/** A test of one text. */
export type TextTest = TestOf<'contains' | 'prefix' | 'matches'>;

export type Filter =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Filter[] }
  | { readonly kind: 'not'; readonly part: Filter }
  | Test;

export const EVERYTHING: Filter = { kind: 'and', parts: [] };
