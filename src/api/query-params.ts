/**
 * Reads the parameters of a query string. A name that is not known is refused: a filter with a typing error in it
 * would otherwise answer with everything.
 */
import { quoteValue } from '../errors.ts';
import { badParameter, badRequest } from './problem.ts';

const MAX_VALUES = 100;
const MAX_VALUE_CHARACTERS = 1000;
/** A filter has a bound of its own, which is told with its place. */
const UNBOUND = 'filter';

/** Throws 400 for a name that `isKnown` does not know, and for too many or too long values. */
export function checkParams(query: URLSearchParams, isKnown: (name: string) => boolean): void {
  for (const [name, value] of query) {
    if (!isKnown(name)) throw badRequest(`There is no parameter ${quoteValue(name)}.`);
    if (value.length > MAX_VALUE_CHARACTERS && name !== UNBOUND) {
      throw badRequest(`The value of ${quoteValue(name)} is longer than ${MAX_VALUE_CHARACTERS} characters.`);
    }
  }
  if (query.size > MAX_VALUES) throw badRequest(`A query has at most ${MAX_VALUES} parameters.`);
}

/** The one value of a parameter; 400 when it is given twice. */
export function single(query: URLSearchParams, name: string): string | undefined {
  const values = query.getAll(name);
  if (values.length > 1) throw badParameter(name, `${name} can be given only once.`);
  return values[0];
}

export interface IntegerRange {
  readonly min: number;
  readonly max: number;
  readonly fallback: number;
}

export function integer(query: URLSearchParams, name: string, range: IntegerRange): number {
  const text = single(query, name);
  if (text === undefined) return range.fallback;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= range.min && value <= range.max) return value;
  throw badParameter(
    name,
    `${name} must be a whole number from ${range.min} to ${range.max}; got ${quoteValue(text)}.`,
  );
}

export function choice<const T extends string>(
  query: URLSearchParams,
  name: string,
  values: readonly [T, ...T[]],
): T {
  const text = single(query, name) ?? values[0];
  const value = values.find((candidate) => candidate === text);
  if (value !== undefined) return value;
  throw badParameter(name, `${name} must be one of ${values.join(', ')}; got ${quoteValue(text)}.`);
}
