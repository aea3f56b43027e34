/**
 * A filter as a condition on table `logs`. Columns and functions are constants of the program; every value, key and
 * expression of a client is a parameter. No condition is ever NULL, so that NOT means what it says.
 */
import type { SqlConditions } from '../sql-conditions.ts';
import type { Filter, Network, TestOf, TextTest } from './ast.ts';
import { type Field, fieldOf } from './fields.ts';
import { parsePattern } from './pattern.ts';
import { toRe2 } from './pattern-tree.ts';
import { innerWords, termPattern } from './words.ts';

type NumberField = Field & { readonly type: 'count' | 'float' | 'time' };

/** What an attribute must look like to be taken for a number. */
export const NUMBER_PATTERN = '^[+-]?[0-9]{1,40}([.][0-9]{1,40})?([eE][+-]?[0-9]{1,3})?$';

const LITERALS = {
  count: ['?1', 'UInt64'],
  float: ['?1', 'Float64'],
  time: [`fromUnixTimestamp64Micro(?1, 'UTC')`, 'Int64'],
} as const;

/** Adds the filter to the conditions; the parts of an AND one by one. */
export function addFilter(conditions: SqlConditions, filter: Filter): void {
  const parts = filter.kind === 'and' ? filter.parts : [filter];
  for (const part of parts) conditions.add(new FilterSql(conditions).of(part));
}

class FilterSql {
  readonly #conditions: SqlConditions;

  constructor(conditions: SqlConditions) {
    this.#conditions = conditions;
  }

  of(filter: Filter): string {
    switch (filter.kind) {
      case 'and':
        return this.#all(filter.parts.map((part) => this.of(part)));
      case 'or':
        return this.#any(filter.parts.map((part) => this.of(part)));
      case 'not':
        return `NOT (${this.of(filter.part)})`;
      case 'words':
        return this.#words(filter);
      case 'within':
        return this.#within(filter);
      case 'exists':
        return this.#exists(fieldOf(filter.field));
      case 'equals':
        return this.#equals(filter);
      case 'compare':
        return this.#compare(fieldOf(filter.field), filter.order, filter.value);
      case 'contains':
      case 'prefix':
      case 'matches':
        return this.#text(filter);
      default:
        return filter satisfies never;
    }
  }

  #all(parts: readonly string[]): string {
    return parts.length === 0 ? '1' : parts.map((part) => `(${part})`).join(' AND ');
  }

  #any(parts: readonly string[]): string {
    return parts.length === 0 ? '0' : parts.map((part) => `(${part})`).join(' OR ');
  }

  #words({ words, phrases }: TestOf<'words'>): string {
    const phraseTests = phrases.map((phrase) =>
      this.#value('match(lower(message), ?1)', termPattern(phrase)),
    );
    return this.#all([...(words.length === 0 ? [] : [this.#hasWords(words)]), ...phraseTests]);
  }

  /** In the form that a text index on `lower(message)` serves. */
  #hasWords(words: readonly string[]): string {
    return this.#values('hasAllTokens(lower(message), ?1)', words);
  }

  #within({ field, networks }: TestOf<'within'>): string {
    const known = fieldOf(field);
    const columns = known.type === 'address' ? known.columns : [];
    return this.#any(columns.flatMap((column) => this.#inNetworks(column, networks)));
  }

  /** Single addresses as a list, which the bloom filter of the column serves. */
  #inNetworks(column: string, networks: readonly Network[]): string[] {
    const single = networks.filter(({ first, last }) => first === last).map(({ first }) => first);
    const ranges = networks
      .filter(({ first, last }) => first !== last)
      .map(({ first, last }) =>
        this.#conditions.expression(`${column} >= ?1 AND ${column} <= ?2`, ['IPv6', first], ['IPv6', last]),
      );
    if (single.length === 0) return ranges;
    return [this.#conditions.expression(`${column} IN ?1`, ['Array(IPv6)', single]), ...ranges];
  }

  #exists(field: Field): string {
    switch (field.type) {
      case 'text':
      case 'level':
        return `${field.column} != ''`;
      case 'list':
      case 'threat_severity':
        return `arrayExists(x -> x != '', ${field.column})`;
      case 'attribute':
        return this.#value('mapContains(metadata, ?1)', field.key);
      case 'address':
        return this.#any(field.columns.map((column) => `${column} != toIPv6('::')`));
      case 'origin':
        return '1';
      case 'count':
      case 'float':
      case 'time':
        return presence(field);
      default:
        return field satisfies never;
    }
  }

  #equals({ field: name, values }: TestOf<'equals'>): string {
    const field = fieldOf(name);
    switch (field.type) {
      case 'text':
      case 'level':
        return this.#values(`${field.column} IN ?1`, values);
      case 'attribute':
        return this.#values(`${this.#attribute(field.key)} IN ?1`, values);
      case 'list':
      case 'threat_severity':
        return this.#values(`hasAny(${field.column}, ?1)`, values);
      case 'origin':
        return this.#values(originCondition(field.columns), values);
      case 'count':
      case 'float':
      case 'time':
        return this.#any(values.map((value) => this.#compare(field, '=', value)));
      case 'address':
        return '0';
      default:
        return field satisfies never;
    }
  }

  #compare(field: Field, order: string, value: string): string {
    if (field.type === 'attribute') {
      const text = this.#attribute(field.key);
      const number = `toFloat64OrNull(if(match(${text}, '${NUMBER_PATTERN}'), ${text}, ''))`;
      return this.#conditions.expression(`ifNull(${number} ${order} ?1, 0)`, ['Float64', value]);
    }
    if (!isNumeric(field)) return '0';
    const [literal, type] = LITERALS[field.type];
    const test = this.#conditions.expression(`${field.column} ${order} ${literal}`, [type, value]);
    return field.absent === 'never' ? test : `${presence(field)} AND ${test}`;
  }

  #text(test: TextTest): string {
    const field = fieldOf(test.field);
    if (field.type === 'attribute') return this.#textOf(this.#attribute(field.key), test);
    if (field.type === 'text') return this.#textOf(field.column, test);
    if (field.type !== 'list' && field.type !== 'threat_severity') return '0';
    return `arrayExists(x -> ${this.#textOf('x', test)}, ${field.column})`;
  }

  #textOf(text: string, test: TextTest): string {
    if (test.kind === 'prefix') return this.#value(`startsWith(${text}, ?1)`, test.text);
    if (test.kind === 'matches') {
      return this.#value(`match(${text}, ?1)`, toRe2(parsePattern(test.pattern, patternError)));
    }
    const found = this.#value(`position(${text}, ?1) > 0`, test.text);
    // Whole words inside of what is looked for can be found by the text index.
    const words = text === 'message' ? innerWords(test.text) : [];
    return words.length === 0 ? found : this.#all([this.#hasWords(words), found]);
  }

  #attribute(key: string): string {
    return this.#value('metadata[?1]', key);
  }

  #value(sql: string, value: string): string {
    return this.#conditions.expression(sql, ['String', value]);
  }

  #values(sql: string, values: readonly string[]): string {
    return this.#conditions.expression(sql, ['Array(String)', values]);
  }
}

/** For topics and kinds of sources; the highest generation of a number is the one that counts. */
export function originCondition(columns: readonly ('kind' | 'topic')[]): string {
  const having = columns.map((column) => `argMax(${column}, generation) IN ?1`).join(' OR ');
  return `source IN (SELECT number FROM sources GROUP BY number HAVING ${having})`;
}

function isNumeric(field: Field): field is NumberField {
  return field.type === 'count' || field.type === 'float' || field.type === 'time';
}

function presence({ column, absent }: NumberField): string {
  if (absent === 'never') return '1';
  return absent === 'null' ? `isNotNull(${column})` : `${column} > 0`;
}

function patternError(problem: string): Error {
  return new Error(problem);
}
