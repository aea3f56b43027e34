/**
 * The filters of logs as query parameters have them: `filter=`, `q` and one parameter per common field. They all
 * become one AST. A parameter that is repeated means any of its values; different parameters must all hold.
 */
import { EVERYTHING, type Filter } from '../filter/ast.ts';
import { fieldName } from '../filter/fields.ts';
import { parameterFail, type Value } from '../filter/filter-error.ts';
import { addFilter, originCondition } from '../filter/filter-sql.ts';
import { parseFilter } from '../filter/parse-filter.ts';
import { readTest, readWords } from '../filter/read-test.ts';
import { single } from '../query-params.ts';
import type { SqlConditions } from '../sql-conditions.ts';

/** Parameter → field, where any of the values must be equal. */
const FIELD_PARAMETERS: ReadonlyMap<string, string> = new Map([
  ...['host', 'service', 'environment', 'level', 'source', 'ip', 'source_ip', 'destination_ip'].map(same),
  ...['user', 'process', 'trace_id', 'correlation_id'].map(same),
  ['threat', 'threats.name'],
  ['threat_severity', 'threats.severity'],
]);
const OTHER_NAMES: ReadonlySet<string> = new Set(['min_level', 'q', 'filter']);
const ATTRIBUTE_PREFIX = 'attr.';
/** For topics and kinds of sources. */
export const SOURCE_CONDITION = originCondition(['topic', 'kind']);

function same(name: string): [string, string] {
  return [name, name];
}

export function isFilterName(name: string): boolean {
  return fieldOfParameter(name) !== undefined || OTHER_NAMES.has(name);
}

/** What the parameters ask for, those that are no filter left out. Throws 400 for a value that cannot be meant. */
export function readLogFilter(query: URLSearchParams): Filter {
  const parts: Filter[] = [];
  for (const name of new Set(query.keys())) {
    const field = fieldOfParameter(name);
    if (field !== undefined) parts.push(anyOf(name, field, query.getAll(name)));
    else if (OTHER_NAMES.has(name)) parts.push(readOther(name, single(query, name) ?? ''));
  }
  return parts.length === 0 ? EVERYTHING : { kind: 'and', parts };
}

/** Adds what the parameters ask for to a statement on `logs`. */
export function addLogFilter(conditions: SqlConditions, query: URLSearchParams): void {
  addFilter(conditions, readLogFilter(query));
}

function fieldOfParameter(name: string): string | undefined {
  if (name.startsWith(ATTRIBUTE_PREFIX)) return fieldName(name);
  return FIELD_PARAMETERS.get(name);
}

function anyOf(name: string, field: string, texts: readonly string[]): Filter {
  const fail = parameterFail(name);
  return readTest({ field, operator: 'in', values: texts.map((text) => ({ text, fail })), fail });
}

function readOther(name: string, text: string): Filter {
  if (name === 'filter') return text.trim() === '' ? EVERYTHING : parseFilter(text);
  const value: Value = { text, fail: parameterFail(name) };
  if (name === 'q') return readWords(value);
  return readTest({ field: 'level', operator: '>=', values: [value], fail: value.fail });
}
