/**
 * From a field, an operator and values as they were written to a test of the AST: what each kind of field can be
 * asked, and what its values may be.
 */
import { nearestName } from '../../config/did-you-mean.ts';
import { quoteValue } from '../../errors.ts';
import { parseRfc3339 } from '../time-input.ts';
import { parseNetwork } from './address.ts';
import type { Filter, Network, Order } from './ast.ts';
import { type Field, fieldOf } from './fields.ts';
import type { Fail, Value } from './filter-error.ts';
import { readLevelTest } from './level-test.ts';
import { parsePattern } from './pattern.ts';
import { MAX_WORDS, parseWords } from './words.ts';

export const OPERATORS = [
  '=',
  '!=',
  '<',
  '<=',
  '>',
  '>=',
  '~',
  'in',
  'contains',
  'prefix',
  'has',
  'exists',
] as const;
export type Operator = (typeof OPERATORS)[number];
/** Operators that have no `not` before them. */
export const COMPARISONS: ReadonlySet<string> = new Set(['=', '!=', '<', '<=', '>', '>=', '~']);

export interface WrittenTest {
  /** As `fieldName` gives it. */
  readonly field: string;
  readonly operator: Exclude<Operator, '!='>;
  readonly values: readonly Value[];
  /** About the operator. */
  readonly fail: Fail;
}

const ORDERS: ReadonlySet<string> = new Set(['<', '<=', '>', '>=']);
const EQUALITY = ['=', 'in'] as const;
const TEXT_OPERATORS = [...EQUALITY, 'contains', 'prefix', '~', 'exists'] as const;
const NUMBER_OPERATORS = [...EQUALITY, '<', '<=', '>', '>=', 'exists'] as const;
const OPERATORS_OF: Readonly<Record<Field['type'], readonly Operator[]>> = {
  text: TEXT_OPERATORS,
  level: NUMBER_OPERATORS,
  list: TEXT_OPERATORS,
  threat_severity: [...TEXT_OPERATORS, '<', '<=', '>', '>='],
  attribute: [...TEXT_OPERATORS, '<', '<=', '>', '>='],
  count: NUMBER_OPERATORS,
  float: NUMBER_OPERATORS,
  time: NUMBER_OPERATORS,
  address: [...EQUALITY, 'exists'],
  origin: EQUALITY,
};

const THREAT_SEVERITIES = ['LOW', 'MEDIUM', 'HIGH', 'CRITICAL'];
const LARGEST_COUNT = 2n ** 64n - 1n;
const FLOAT = /^[+-]?\d{1,40}(?:\.\d{1,40})?(?:e[+-]?\d{1,3})?$/i;

export function isOperator(text: string): text is Operator {
  return OPERATORS.some((operator) => operator === text);
}

/** Throws what the `fail` of the operator or of a value makes. */
export function readTest(test: WrittenTest): Filter {
  const { field, operator, values, fail } = test;
  const known = fieldOf(field);
  const allowed = [...OPERATORS_OF[known.type], ...(field === 'message' ? ['has'] : [])];
  if (!allowed.includes(operator)) {
    throw fail(`${quoteValue(field)} cannot be asked with ${operator}, only with ${allowed.join(' ')}`);
  }
  if (operator === 'exists') return { kind: 'exists', field };
  if (known.type === 'level') return readLevelTest(operator, values);
  if (operator === '=' || operator === 'in') return readEquals(field, known.type, values);
  const [value = { text: '', fail }] = values;
  if (isOrder(operator)) return readCompare(test, known.type, value);
  return readText(field, operator, value);
}

function isOrder(operator: Operator): operator is Order {
  return ORDERS.has(operator);
}

function readEquals(field: string, type: Field['type'], values: readonly Value[]): Filter {
  if (type === 'address') return { kind: 'within', field, networks: values.map(readNetwork) };
  if (type === 'count' || type === 'float' || type === 'time') {
    return { kind: 'equals', field, values: values.map((value) => readNumber(type, value)) };
  }
  const isUpper = type === 'threat_severity';
  return { kind: 'equals', field, values: values.map(({ text }) => (isUpper ? text.toUpperCase() : text)) };
}

function readCompare({ field, operator }: WrittenTest, type: Field['type'], value: Value): Filter {
  const order = operator as Order;
  if (type === 'threat_severity') return { kind: 'equals', field, values: severitiesThat(order, value) };
  const isExact = type === 'count' || type === 'time';
  return { kind: 'compare', field, order, value: readNumber(isExact ? type : 'float', value) };
}

function readText(field: string, operator: Operator, value: Value): Filter {
  const { text, fail } = value;
  if (text === '') throw fail('this text must not be empty');
  if (operator === 'contains' || operator === 'prefix') return { kind: operator, field, text };
  if (operator === 'has') return readWords(value);
  parsePattern(text, (problem, at) => fail(problem, { at }));
  return { kind: 'matches', field, pattern: text };
}

export function readWords({ text, fail }: Value): Filter {
  const words = parseWords(text);
  if (words !== undefined) return words;
  throw fail(`at most ${MAX_WORDS} words can be asked for at once`);
}

function readNetwork({ text, fail }: Value): Network {
  const network = parseNetwork(text);
  if (network !== undefined) return network;
  throw fail(`${quoteValue(text)} must be an IP address, or a network such as 10.0.0.0/8`);
}

function readNumber(type: 'count' | 'float' | 'time', { text, fail }: Value): string {
  if (type === 'time') {
    const us = parseRfc3339(text);
    if (us !== undefined) return String(us);
    throw fail(
      `${quoteValue(text)} must be a time such as 2026-01-31T12:00:00Z; times such as now-15m belong into the parameters from and to`,
    );
  }
  if (type === 'count') {
    const value = /^\d{1,30}$/.test(text) ? BigInt(text) : -1n;
    if (value >= 0n && value <= LARGEST_COUNT) return String(value);
    throw fail(`${quoteValue(text)} must be a whole number from 0`);
  }
  const value = FLOAT.test(text) ? Number(text) : Number.NaN;
  // One number has one text: no minus before 0.
  if (Number.isFinite(value)) return String(value === 0 ? 0 : value);
  throw fail(`${quoteValue(text)} must be a number`);
}

/** An order on a list of names is one of them. */
function severitiesThat(order: Order, { text, fail }: Value): string[] {
  const at = THREAT_SEVERITIES.indexOf(text.toUpperCase());
  if (at < 0) {
    const suggestion = nearestName(text.toUpperCase(), THREAT_SEVERITIES);
    throw fail(`${quoteValue(text)} must be one of ${THREAT_SEVERITIES.join(', ')}`, { suggestion });
  }
  const from = at + (order === '>' ? 1 : 0);
  const to = at + (order === '<=' ? 1 : 0);
  return order.startsWith('>') ? THREAT_SEVERITIES.slice(from) : THREAT_SEVERITIES.slice(0, to);
}
