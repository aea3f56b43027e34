/**
 * A filter as a function of a stored log: the same answer as the condition of filter-sql.ts gives, without a query.
 */
import { addressText } from './address.ts';
import type { Filter, Network, Order, TestOf, TextTest } from './ast.ts';
import { type Field, fieldOf, type StoredLog } from './fields.ts';
import { NUMBER_PATTERN } from './filter-sql.ts';
import { parsePattern } from './pattern.ts';
import { PatternMatcher } from './pattern-matcher.ts';
import { hasTerm, lowerAscii } from './words.ts';
import type { WorkMeter } from './work-meter.ts';

export type LogPredicate = (log: StoredLog) => boolean;

const NUMBER = new RegExp(NUMBER_PATTERN);

/**
 * Costs what the filter is long; made once, it can be asked any number of times. With a meter it throws what that
 * does, and can still be asked of the next log.
 */
export function toPredicate(filter: Filter, meter?: WorkMeter): LogPredicate {
  switch (filter.kind) {
    case 'and': {
      const parts = filter.parts.map((part) => toPredicate(part, meter));
      return (log) => parts.every((part) => part(log));
    }
    case 'or': {
      const parts = filter.parts.map((part) => toPredicate(part, meter));
      return (log) => parts.some((part) => part(log));
    }
    case 'not': {
      const part = toPredicate(filter.part, meter);
      return (log) => !part(log);
    }
    case 'exists':
      return exists(fieldOf(filter.field));
    case 'equals':
      return equals(filter);
    case 'compare':
      return compares(filter);
    case 'within':
      return within(filter);
    case 'words': {
      const terms = [...filter.words, ...filter.phrases];
      return ({ row }) => {
        const message = lowerAscii(row.message);
        return terms.every((term) => hasTerm(message, term));
      };
    }
    case 'contains':
    case 'prefix':
    case 'matches':
      return hasText(filter, meter);
    default:
      return filter satisfies never;
  }
}

function exists(field: Field): LogPredicate {
  switch (field.type) {
    case 'attribute':
      return ({ row }) => Object.hasOwn(row.metadata, field.key);
    case 'address':
      return (log) => field.read(log).some((text) => addressText(text) !== undefined);
    case 'count':
    case 'float':
    case 'time': {
      const read = numberReader(field);
      return (log) => read(log) !== undefined;
    }
    case 'origin':
      return () => true;
    case 'text':
    case 'level':
    case 'list':
    case 'threat_severity': {
      const read = textsReader(field);
      return (log) => read(log).some((text) => text !== '');
    }
    default:
      return field satisfies never;
  }
}

function equals({ field: name, values }: TestOf<'equals'>): LogPredicate {
  const field = fieldOf(name);
  if (field.type === 'count' || field.type === 'float' || field.type === 'time') {
    const read = numberReader(field);
    const numbers = values.map((value) => literal(field, value));
    return (log) => {
      const number = read(log);
      return number !== undefined && numbers.some((wanted) => order(number, wanted) === 0);
    };
  }
  const wanted = new Set(values);
  const read = textsReader(field);
  return (log) => read(log).some((text) => wanted.has(text));
}

function compares({ field: name, order: asked, value }: TestOf<'compare'>): LogPredicate {
  const field = fieldOf(name);
  const read = numberReader(field);
  const bound = literal(field, value);
  const holds = HOLDS[asked];
  return (log) => {
    const number = read(log);
    return number !== undefined && holds(order(number, bound));
  };
}

const HOLDS: Readonly<Record<Order, (sign: number) => boolean>> = {
  '<': (sign) => sign < 0,
  '<=': (sign) => sign <= 0,
  '>': (sign) => sign > 0,
  '>=': (sign) => sign >= 0,
};

function hasText(test: TextTest, meter: WorkMeter | undefined): LogPredicate {
  const read = textsReader(fieldOf(test.field));
  const fits = textTest(test, meter);
  return (log) => read(log).some(fits);
}

function textTest(test: TextTest, meter: WorkMeter | undefined): (text: string) => boolean {
  if (test.kind === 'contains') return (text) => text.includes(test.text);
  if (test.kind === 'prefix') return (text) => text.startsWith(test.text);
  const matcher = new PatternMatcher(
    parsePattern(test.pattern, (problem) => new Error(problem)),
    meter,
  );
  return (text) => matcher.matches(text);
}

function within({ field: name, networks }: TestOf<'within'>): LogPredicate {
  const field = fieldOf(name);
  if (field.type !== 'address') return () => false;
  const contains = (text: string): boolean => {
    const address = addressText(text);
    return address !== undefined && networks.some((network) => isIn(network, address));
  };
  return (log) => field.read(log).some(contains);
}

function isIn({ first, last }: Network, address: string): boolean {
  return address >= first && address <= last;
}

/** The texts of which one must fit. An attribute that the log lacks is the empty text, as an absent column is. */
function textsReader(field: Field): (log: StoredLog) => readonly string[] {
  switch (field.type) {
    case 'text':
    case 'level':
      return (log) => [field.read(log)];
    case 'attribute':
      return ({ row }) => [attribute(row.metadata, field.key)];
    case 'list':
    case 'threat_severity':
      return field.read;
    case 'origin':
      return ({ source }) => (source === undefined ? [] : field.columns.map((column) => source[column]));
    case 'address':
    case 'count':
    case 'float':
    case 'time':
      return () => [];
    default:
      return field satisfies never;
  }
}

/** Keys of metadata come from outside: `constructor` is one like any other. */
function attribute(metadata: Readonly<Record<string, string>>, key: string): string {
  return Object.hasOwn(metadata, key) ? (metadata[key] ?? '') : '';
}

/** Undefined when the log lacks the field, or an attribute is no number. */
function numberReader(field: Field): (log: StoredLog) => number | bigint | undefined {
  if (field.type === 'attribute') {
    return ({ row }) => {
      const text = attribute(row.metadata, field.key);
      return NUMBER.test(text) ? Number(text) : undefined;
    };
  }
  if (field.type !== 'count' && field.type !== 'float' && field.type !== 'time') return () => undefined;
  return (log) => {
    const value = field.read(log);
    if (value === null) return undefined;
    const number = typeof value === 'string' ? BigInt(value) : value;
    return field.absent === 'zero' && number <= 0 ? undefined : number;
  };
}

/** Whole numbers go up to 2^64. */
function literal(field: Field, value: string): number | bigint {
  return field.type === 'count' ? BigInt(value) : Number(value);
}

/** Numbers and big integers compare exactly with each other. */
function order(a: number | bigint, b: number | bigint): number {
  if (a < b) return -1;
  return a > b ? 1 : 0;
}
