/**
 * The words, texts and marks of `filter=`. In a text in quotes `\"` and `\\` stand for the quote and the backslash;
 * any other backslash stands for itself, so that regular expressions can be written as they are.
 */
import { filterFault } from './filter-error.ts';

export interface Token {
  readonly kind: 'word' | 'text' | 'mark' | 'end';
  /** Of a text: without its quotes. */
  readonly text: string;
  /** Index of its first character, of the quote with a text. */
  readonly start: number;
  readonly end: number;
  /** Of a text: the index of each of its characters (of UTF-16). */
  readonly places?: readonly number[];
}

/** `filter=` is not longer than this; nor is its list of tokens. */
export const MAX_FILTER_CHARACTERS = 4000;

const SPACE = /\s*/y;
/** With those that other languages have and this one has not: one is told what to write. */
const MARK = /<=|>=|!=|<>|==|=~|!~|&&|\|\||[()=,<>~!&|]/y;
const WORD = /[^\s"'()=,<>~!&|]+/y;

/** Throws `bad_request` for a text that does not end and for a filter that is too long. */
export function readTokens(source: string): Token[] {
  if (source.length > MAX_FILTER_CHARACTERS) {
    const problem = `a filter has at most ${MAX_FILTER_CHARACTERS} characters`;
    throw filterFault({ source, index: MAX_FILTER_CHARACTERS }, problem);
  }
  const tokens: Token[] = [];
  let at = take(SPACE, source, 0).length;
  while (at < source.length) {
    const token = readToken(source, at);
    tokens.push(token);
    at = token.end + take(SPACE, source, token.end).length;
  }
  tokens.push({ kind: 'end', text: '', start: source.length, end: source.length });
  return tokens;
}

function readToken(source: string, start: number): Token {
  const mark = take(MARK, source, start);
  if (mark !== '') return { kind: 'mark', text: mark, start, end: start + mark.length };
  const word = take(WORD, source, start);
  if (word !== '') return { kind: 'word', text: word, start, end: start + word.length };
  return readText(source, start);
}

function readText(source: string, start: number): Token {
  const quote = source.charAt(start);
  const places: number[] = [];
  let text = '';
  let at = start + 1;
  while (at < source.length && source[at] !== quote) {
    const next = source.charAt(at + 1);
    const isEscape = source[at] === '\\' && (next === quote || next === '\\');
    if (isEscape) at += 1;
    text += source.charAt(at);
    places.push(at);
    at += 1;
  }
  if (at >= source.length)
    throw filterFault({ source, index: start }, 'the text that begins here does not end');
  return { kind: 'text', text, start, end: at + 1, places };
}

function take(pattern: RegExp, source: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0] ?? '';
}
