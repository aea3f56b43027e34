/**
 * Words and "phrases" of a message, for `q` and `has`. A word is what the server's tokeniser takes for one: ASCII
 * letters and digits, and all beyond ASCII. Case does not count in ASCII. A phrase stands in the message as given,
 * and not in the middle of a word. Marks outside of quotes only part words, unless there is nothing else.
 */
import type { Filter } from './ast.ts';

/** In phrases and outside. */
export const MAX_WORDS = 25;

const TERM = /"([^"]*)"|([^\s"]+)/g;
const WORD = /[a-z0-9\u0080-\u{10ffff}]+/giu;
const WORD_CHARACTER = /[a-z0-9\u0080-\uffff]/;

/** Undefined when there are too many. A text without any word or mark asks for nothing. */
export function parseWords(text: string): Filter | undefined {
  const words = new Set<string>();
  const phrases = new Set<string>();
  let count = 0;
  for (const [, quoted, plain = ''] of text.matchAll(TERM)) {
    const term = lowerAscii(quoted ?? plain);
    const found = term.match(WORD) ?? [];
    for (const word of found) words.add(word);
    count += Math.max(1, found.length);
    const isPhrase = quoted === undefined ? found.length === 0 : found[0] !== term;
    if (isPhrase && term !== '') phrases.add(term);
  }
  if (count > MAX_WORDS) return undefined;
  return { kind: 'words', words: [...words], phrases: [...phrases] };
}

/** As `lower` of ClickHouse does it: ASCII only. */
export function lowerAscii(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Whether `term` stands in `text` without a further word character at an end that is one; both in lower case. */
export function hasTerm(text: string, term: string): boolean {
  for (let at = text.indexOf(term); at >= 0; at = text.indexOf(term, at + 1)) {
    const end = at + term.length;
    const isBegin = !isWordAt(text, at - 1) || !isWordAt(text, at);
    if (isBegin && (!isWordAt(text, end - 1) || !isWordAt(text, end))) return true;
  }
  return false;
}

function isWordAt(text: string, at: number): boolean {
  return WORD_CHARACTER.test(text.charAt(at));
}

/** The same as `hasTerm`, as a regular expression (RE2) on the message in lower case. */
export function termPattern(term: string): string {
  const noWord = String.raw`[\x00-/:-\x60{-\x7f]`;
  const begin = isWordAt(term, 0) ? String.raw`(?:\A|${noWord})` : '';
  const end = isWordAt(term, term.length - 1) ? String.raw`(?:${noWord}|\z)` : '';
  return begin + term.replaceAll(/[^\w\s\u0080-\uffff]/g, String.raw`\$&`) + end;
}

/** The words of `text` that stand as words in whatever contains it: all that do not touch its ends. */
export function innerWords(text: string): string[] {
  const inner = text.replace(/^[a-z0-9\u0080-\uffff]+/i, '').replace(/[a-z0-9\u0080-\uffff]+$/i, '');
  return [...new Set(lowerAscii(inner).match(WORD) ?? [])].slice(0, MAX_WORDS);
}
