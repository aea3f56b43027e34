/**
 * The grammar of `filter=` (docs/filter.md): `or` binds less than `and`, that less than `not`.
 */
import { quoteValue } from '../../errors.ts';
import type { Filter } from './ast.ts';
import { attributeName, fieldName, suggestField } from './fields.ts';
import { type Fail, filterFault, type Value } from './filter-error.ts';
import { COMPARISONS, isOperator, OPERATORS, type Operator, readTest } from './read-test.ts';
import { readTokens, type Token } from './tokens.ts';

const MAX_TESTS = 100;
const MAX_DEPTH = 20;
const MAX_LIST = 100;
/** Each keeps some memory while its filter is in use. */
const MAX_EXPRESSIONS = 10;

const KEYWORDS: ReadonlySet<string> = new Set(['and', 'or', 'not', ...OPERATORS]);
/** What others write → what is written here. */
const FOREIGN: Readonly<Record<string, string>> = {
  '&&': 'and',
  '&': 'and',
  '||': 'or',
  '|': 'or',
  '!': 'not',
  '==': '=',
  '<>': '!=',
  '=~': '~',
  '!~': 'not … ~',
  like: 'contains',
  ilike: 'contains',
  includes: 'contains',
  startswith: 'prefix',
  starts_with: 'prefix',
  starts: 'prefix',
  matches: '~',
  regex: '~',
  is: '=',
};

/** Throws `bad_request` that points at the character. */
export function parseFilter(source: string): Filter {
  return new Parser(source).parse();
}

class Parser {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  #at = 0;
  #testCount = 0;
  #expressionCount = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
    this.#tokens = readTokens(source);
  }

  parse(): Filter {
    const filter = this.#or();
    const token = this.#token;
    if (token.kind === 'end') return filter;
    if (token.text === ')') throw this.#fault(token, 'this ) closes nothing');
    throw this.#fault(token, 'here "and", "or" or the end is missing', foreign(token));
  }

  #or(): Filter {
    const parts = [this.#and()];
    while (this.#takeKeyword('or')) parts.push(this.#and());
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'or', parts };
  }

  #and(): Filter {
    const parts = [this.#not()];
    while (this.#takeKeyword('and')) parts.push(this.#not());
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { kind: 'and', parts };
  }

  #not(): Filter {
    const opening = this.#token;
    const isNot = this.#takeKeyword('not');
    if (!isNot && !this.#takeMark('(')) return this.#test();
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) {
      throw this.#fault(opening, `a filter is nested at most ${MAX_DEPTH} deep`);
    }
    const inner = isNot ? this.#not() : this.#or();
    this.#depth -= 1;
    if (isNot) return { kind: 'not', part: inner };
    if (!this.#takeMark(')')) {
      throw this.#fault(this.#token, 'here "and", "or" or ) is missing', foreign(this.#token));
    }
    return inner;
  }

  #test(): Filter {
    this.#testCount += 1;
    if (this.#testCount > MAX_TESTS)
      throw this.#fault(this.#token, `a filter has at most ${MAX_TESTS} tests`);
    const fieldToken = this.#token;
    const field = this.#field();
    const isNot = this.#takeKeyword('not');
    const operatorToken = this.#token;
    const operator = this.#operator(fieldToken, isNot);
    if (operator === '~') this.#expressionCount += 1;
    if (this.#expressionCount > MAX_EXPRESSIONS) {
      throw this.#fault(operatorToken, `a filter has at most ${MAX_EXPRESSIONS} regular expressions`);
    }
    const test = readTest({
      field,
      operator: operator === '!=' ? '=' : operator,
      values: this.#values(operator),
      fail: (problem, hint) => this.#fault(operatorToken, problem, hint?.suggestion),
    });
    return isNot || operator === '!=' ? { kind: 'not', part: test } : test;
  }

  #field(): string {
    const token = this.#token;
    if (token.kind !== 'word' || KEYWORDS.has(token.text.toLowerCase())) {
      throw this.#fault(token, 'here the name of a field is missing', foreign(token));
    }
    this.#at += 1;
    const next = this.#token;
    const isQuotedKey =
      /^(?:attr|metadata)\.$/i.test(token.text) && next.kind === 'text' && next.start === token.end;
    if (isQuotedKey && next.text !== '') {
      this.#at += 1;
      return attributeName(next.text);
    }
    const name = fieldName(token.text);
    if (name !== undefined) return name;
    const problem = `there is no field ${quoteValue(token.text)} (metadata is attr.<key>)`;
    throw this.#fault(token, problem, suggestField(token.text));
  }

  #operator(field: Token, isNot: boolean): Operator {
    const token = this.#token;
    const text = token.kind === 'text' ? '' : token.text.toLowerCase();
    if (isOperator(text) && !(isNot && COMPARISONS.has(text))) {
      this.#at += 1;
      return text;
    }
    const problem = isNot
      ? 'after this "not" one of in, contains, prefix, has and exists is missing'
      : `after ${quoteValue(field.text)} an operator is missing: ${OPERATORS.join(' ')}`;
    throw this.#fault(token, problem, foreign(token));
  }

  #values(operator: Operator): Value[] {
    if (operator === 'exists') return [];
    if (operator !== 'in') return [this.#value()];
    if (!this.#takeMark('(')) throw this.#fault(this.#token, 'after "in" a list is missing, such as (a, b)');
    const values = [this.#value()];
    while (this.#takeMark(',')) {
      if (values.length >= MAX_LIST) throw this.#fault(this.#token, `a list has at most ${MAX_LIST} values`);
      values.push(this.#value());
    }
    if (!this.#takeMark(')')) throw this.#fault(this.#token, 'here a comma or the ) of the list is missing');
    return values;
  }

  #value(): Value {
    const token = this.#token;
    const isKeyword = token.kind === 'word' && KEYWORDS.has(token.text.toLowerCase());
    if (token.kind === 'mark' || token.kind === 'end' || isKeyword) {
      const problem = isKeyword
        ? `here a value is missing; if ${token.text} is meant, put it in quotes`
        : 'here a value is missing';
      throw this.#fault(token, problem);
    }
    this.#at += 1;
    const fail: Fail = (problem, { suggestion, at } = {}) =>
      filterFault({ source: this.#source, index: indexIn(token, at) }, problem, suggestion);
    return { text: token.text, fail };
  }

  get #token(): Token {
    const token = this.#tokens[this.#at] ?? this.#tokens.at(-1);
    return token ?? { kind: 'end', text: '', start: 0, end: 0 };
  }

  #takeKeyword(word: string): boolean {
    const { kind, text } = this.#token;
    const isNext = kind === 'word' && text.toLowerCase() === word;
    if (isNext) this.#at += 1;
    return isNext;
  }

  #takeMark(mark: string): boolean {
    const { kind, text } = this.#token;
    const isNext = kind === 'mark' && text === mark;
    if (isNext) this.#at += 1;
    return isNext;
  }

  #fault(token: Token, problem: string, suggestion?: string) {
    return filterFault({ source: this.#source, index: token.start }, problem, suggestion);
  }
}

/** Where a character of a value stands in the filter; without one, where the value begins. */
function indexIn({ start, end, places }: Token, at: number | undefined): number {
  if (at === undefined) return start;
  return places === undefined ? start + at : (places[at] ?? end - 1);
}

function foreign({ kind, text }: Token): string | undefined {
  const word = text.toLowerCase();
  return kind !== 'text' && Object.hasOwn(FOREIGN, word) ? FOREIGN[word] : undefined;
}
