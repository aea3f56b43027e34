/**
 * `q`: every word must occur in the message, in any case and order; "words in quotes" must stand there as given.
 */
import { badRequest } from '../problem.ts';
import type { SqlConditions } from '../sql-conditions.ts';

const MAX_TERMS = 20;
const TERM = /"([^"]*)"|([^\s"]+)/g;
/** A word as the server's tokeniser sees it: letters and digits, and all beyond ASCII. */
const WORD = /[a-z0-9\u0080-\u{10ffff}]+/giu;

export function addWords(conditions: SqlConditions, text: string): void {
  const terms = [...text.matchAll(TERM)];
  if (terms.length > MAX_TERMS) throw badRequest(`q has at most ${MAX_TERMS} words.`);
  const words: string[] = [];
  for (const [, phrase, word] of terms) {
    const term = phrase ?? word ?? '';
    const found = term.match(WORD) ?? [];
    words.push(...found);
    // Marks between letters count only where they are written as a phrase, or when there is nothing else.
    const isLiteral =
      (phrase !== undefined && phrase !== '' && found.join('') !== phrase) || found.length === 0;
    if (isLiteral && term !== '') {
      conditions.add('position(lower(message), lower(?1)) > 0', ['String', term]);
    }
  }
  if (words.length > 0)
    conditions.add('hasAllTokens(lower(message), ?1)', ['Array(String)', words.map(lowerAscii)]);
}

/** As `lower` of ClickHouse does it: ASCII only. */
function lowerAscii(word: string): string {
  return word.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
