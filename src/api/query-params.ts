/**
 * One value of a query string, where its form is a matter of the caller.
 */
import { badParameter } from './problem.ts';

/** The one value of a parameter; 400 when it is given twice. */
export function single(query: URLSearchParams, name: string): string | undefined {
  const values = query.getAll(name);
  if (values.length > 1) throw badParameter(name, `${name} can be given only once.`);
  return values[0];
}
