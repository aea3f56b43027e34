/**
 * The filters of `GET /logs` as conditions on table `logs`. A parameter that is repeated means any of its values;
 * different parameters must all hold.
 */
import { isIP, isIPv4 } from 'node:net';
import { quoteValue } from '../../errors.ts';
import { LEVEL_NAMES, levelIndexOf, severityOfName } from '../../parse/severity.ts';
import { NO_LEVEL } from '../no-level.ts';
import { badRequest } from '../problem.ts';
import { single } from '../query-params.ts';
import type { SqlConditions } from '../sql-conditions.ts';
import { addWords } from './word-search.ts';

/** Parameter → column, for text that must be equal. */
const EQUAL_COLUMNS: Readonly<Record<string, string>> = {
  host: 'host',
  service: 'service',
  environment: 'environment',
  user: 'user',
  process: 'process',
  trace_id: 'trace_id',
  correlation_id: 'correlation_id',
};

const ADDRESS_CONDITIONS: Readonly<Record<string, string>> = {
  ip: 'source_ip IN ?1 OR destination_ip IN ?1',
  source_ip: 'source_ip IN ?1',
  destination_ip: 'destination_ip IN ?1',
};

const THREAT_CONDITIONS: Readonly<Record<string, string>> = {
  threat: 'hasAny(threats.name, ?1)',
  threat_severity: 'hasAny(threats.severity, ?1)',
};

const OTHER_NAMES: ReadonlySet<string> = new Set(['level', 'min_level', 'source', 'q']);
const ATTRIBUTE_PREFIX = 'attr.';
/** For topics and kinds of sources; the highest generation of a number is the one that counts. */
export const SOURCE_CONDITION = `source IN (
    SELECT number FROM sources GROUP BY number
    HAVING argMax(topic, generation) IN ?1 OR argMax(kind, generation) IN ?1)`;

export function isFilterName(name: string): boolean {
  return (
    Object.hasOwn(EQUAL_COLUMNS, name) ||
    Object.hasOwn(ADDRESS_CONDITIONS, name) ||
    Object.hasOwn(THREAT_CONDITIONS, name) ||
    OTHER_NAMES.has(name) ||
    (name.startsWith(ATTRIBUTE_PREFIX) && name.length > ATTRIBUTE_PREFIX.length)
  );
}

/** Adds a condition for every filter in `query`; throws 400 for a value that cannot be meant. */
export function addLogFilter(conditions: SqlConditions, query: URLSearchParams): void {
  for (const name of new Set(query.keys())) {
    const values = query.getAll(name);
    const addresses = ADDRESS_CONDITIONS[name];
    const threats = THREAT_CONDITIONS[name];
    const column = Object.hasOwn(EQUAL_COLUMNS, name) ? EQUAL_COLUMNS[name] : undefined;
    if (column !== undefined) conditions.add(`${column} IN ?1`, ['Array(String)', values]);
    else if (addresses !== undefined) {
      conditions.add(addresses, ['Array(IPv6)', values.map((value) => toIpv6(name, value))]);
    } else if (threats !== undefined) {
      const wanted = name === 'threat_severity' ? values.map((value) => value.toUpperCase()) : values;
      conditions.add(threats, ['Array(String)', wanted]);
    } else addOther(conditions, name, query);
  }
}

function addOther(conditions: SqlConditions, name: string, query: URLSearchParams): void {
  const values = query.getAll(name);
  if (name === 'level') conditions.add('level IN ?1', ['Array(String)', values.flatMap(storedLevels)]);
  else if (name === 'min_level') {
    conditions.add('severity_number >= ?1', ['UInt8', minSeverity(single(query, name) ?? '')]);
  } else if (name === 'source') conditions.add(SOURCE_CONDITION, ['Array(String)', values]);
  else if (name === 'q') addWords(conditions, single(query, name) ?? '');
  else if (name.startsWith(ATTRIBUTE_PREFIX)) {
    const key = name.slice(ATTRIBUTE_PREFIX.length);
    conditions.add('metadata[?1] IN ?2', ['String', key], ['Array(String)', values]);
  }
}

/**
 * Levels are stored by their range's name: `err` and `error` are both ERROR. Unknown ones stay as they came, and
 * UNSET stands for none.
 */
function storedLevels(text: string): string[] {
  if (text.toUpperCase() === NO_LEVEL) return ['', text];
  const bytes = Buffer.from(text);
  const index = levelIndexOf(severityOfName(bytes, { start: 0, end: bytes.length }));
  return [index === 0 ? text : Buffer.from(LEVEL_NAMES[index] ?? []).toString()];
}

function minSeverity(text: string): number {
  const bytes = Buffer.from(text);
  const severity = severityOfName(bytes, { start: 0, end: bytes.length });
  if (severity > 0) return severity;
  throw badRequest(`min_level must be a level such as warn; got ${quoteValue(text)}.`);
}

function toIpv6(name: string, text: string): string {
  if (isIPv4(text)) return `::ffff:${text}`;
  if (isIP(text) === 6 && !text.includes('%')) return text;
  throw badRequest(`${name} must be an IP address; got ${quoteValue(text)}.`);
}
