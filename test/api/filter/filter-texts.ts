/** Random filters as a client would write them, and the values that they and the rows they meet are made of. */
import fc from 'fast-check';
import { FIELD_NAMES } from '../../../src/api/filter/fields.ts';
import { parsePattern } from '../../../src/api/filter/pattern.ts';

/** Texts that hurt: quotes, marks of SQL and of regular expressions, what is beyond ASCII, and nothing. */
export const TEXTS = [
  '',
  'web-1',
  'web-10',
  "o'hara\\",
  'say "hi"',
  'a\nb\tc',
  'nul\0here',
  '%_.*',
  "x') OR 1=1 --",
  '{p0:String}',
  'Straße',
  '\u212Aelvin',
  'λόγος 😀 end',
  'Failed password for root from 203.0.113.9 port 22',
  'connection reset by PEER, standby peer',
  'by peer',
  'aaaaab',
  'ABBA',
] as const;
export const LEVELS = ['', 'TRACE', 'INFO', 'WARN', 'ERROR', 'FATAL', 'odd'] as const;
export const ADDRESSES = [
  '::',
  '::ffff:203.0.113.9',
  '::ffff:10.1.2.3',
  '::ffff:255.255.255.255',
  '2001:db8::5',
  '::1',
  'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
] as const;
export const COUNTS = ['0', '1', '22', '443', '500', '65535'] as const;
export const LARGE_COUNTS = [...COUNTS, '9007199254740993', '18446744073709551615'] as const;
export const FLOATS = [0, -0, 0.1, 12.5, 99.999999999, -3, 1e300, 0.30000000000000004] as const;
export const NUMBERS_AS_TEXT = [
  '1',
  '+5',
  '007',
  '1.50',
  '-2e3',
  '0x10',
  '1e400',
  'inf',
  ' 7',
  '.5',
  '12.',
] as const;
export const TIMES = [
  '2026-01-02T03:04:05.678901Z',
  '2026-01-02T03:04:05.678902Z',
  '2026-01-03T00:00:00Z',
] as const;
export const KEYS = [
  'a',
  'http.agent',
  'with "quotes" and = marks',
  'constructor',
  '__proto__',
  'Key',
] as const;
const NETWORKS = [
  '10.0.0.0/8',
  '0.0.0.0/0',
  '::/0',
  '203.0.113.9/31',
  '2001:db8::/32',
  '::ffff:0:0/96',
  '::',
] as const;
const ORDERS = ['<', '<=', '>', '>=', '=', '!='] as const;

export function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

/** Expressions over the alphabet of the texts above. */
const pattern: fc.Arbitrary<string> = fc.letrec<{
  choice: string;
  sequence: string;
  part: string;
  atom: string;
}>((tie) => ({
  choice: fc.array(tie('sequence'), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('|')),
  sequence: fc.array(tie('part'), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')),
  part: fc
    .tuple(tie('atom'), fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,}', '{0,3}', '*?'))
    .map(([atom, quantifier]) => atom + (atom === '^' || atom === '$' ? '' : quantifier)),
  atom: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(
      'a',
      'b',
      'e',
      'A',
      ' ',
      '.',
      '^',
      '$',
      'ß',
      '😀',
      '\\d',
      '\\w',
      '\\W',
      '\\s',
      '\\.',
      '\\\\',
      '"',
      '\\n',
    ),
    fc.constantFrom(
      '[a-e]',
      '[^a-z]',
      '[A-Z0-9]',
      '[\\d.]',
      '[ß-ώ]',
      '[-a]',
      '[^\\s\\d]',
      'peer',
      '203',
      'word',
    ),
    tie('choice').map((inner) => `(${inner})`),
    tie('choice').map((inner) => `(?:${inner})`),
  ),
})).choice;

export const patterns: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom('', '(?i)'), pattern)
  .map(([flag, text]) => flag + text)
  .filter((text) => text.length <= 60 && text !== '(?i)' && !isTooLarge(text));

/** Groups may multiply beyond the limit; any other refusal is for the tests to see. */
function isTooLarge(pattern: string): boolean {
  try {
    parsePattern(pattern, (problem) => new Error(problem));
    return false;
  } catch (error) {
    return String(error).includes('too large');
  }
}

const texts = fc.oneof(fc.constantFrom(...TEXTS), fc.constantFrom(...TEXTS).chain(pieceOf));

function pieceOf(text: string): fc.Arbitrary<string> {
  const characters = Array.from(text);
  return fc
    .tuple(fc.nat(characters.length), fc.nat(characters.length))
    .map(([a, b]) => characters.slice(Math.min(a, b), Math.max(a, b)).join(''));
}

const someText = texts.map((text) => quoted(text === '' ? 'e' : text));
const textTest = fc.oneof(
  fc.tuple(fc.constantFrom('=', '!='), texts).map(([operator, text]) => `${operator} ${quoted(text)}`),
  fc.array(texts, { minLength: 1, maxLength: 3 }).map((list) => `in (${list.map(quoted).join(', ')})`),
  fc.tuple(fc.constantFrom('contains', 'not contains', 'prefix'), someText).map((parts) => parts.join(' ')),
  patterns.map((text) => `~ ${quoted(text)}`),
  fc.constantFrom('exists', 'not exists'),
);

function numberTest(values: readonly (string | number)[]): fc.Arbitrary<string> {
  return fc.oneof(
    fc.tuple(fc.constantFrom(...ORDERS), fc.constantFrom(...values)).map((parts) => parts.join(' ')),
    fc
      .array(fc.constantFrom(...values), { minLength: 1, maxLength: 3 })
      .map((list) => `in (${list.join(',')})`),
    fc.constantFrom('exists', 'not exists'),
  );
}

/** Words, or one phrase; quotes inside would part it. */
const words = fc.tuple(texts, fc.boolean()).map(([text, isPhrase]) => {
  const plain = text.replaceAll('"', ' ');
  return isPhrase || plain === '' ? `"${plain}"` : plain;
});
const FLOAT_FIELDS: ReadonlySet<string> = new Set(['cpu_usage', 'memory_usage.percentage']);
const TEXT_LISTS = fc.constantFrom(...TEXTS.slice(0, 8), 'LOW', 'HIGH');

function testOf(field: string): fc.Arbitrary<string> {
  const prefixed = (test: fc.Arbitrary<string>): fc.Arbitrary<string> =>
    test.map((text) => `${field} ${text}`);
  if (field === 'message')
    return prefixed(
      fc.oneof(
        textTest,
        words.map((text) => `has ${quoted(text)}`),
      ),
    );
  if (field.endsWith('_ip') || field === 'ip') {
    return prefixed(numberTest([...ADDRESSES, ...NETWORKS]).filter((text) => !/^[<>]/.test(text)));
  }
  if (field === 'level') return prefixed(numberTest(['warn', 'INFO', 'error', 'notice', 'crit', 'INFO2']));
  if (field === 'source' || field.startsWith('source.')) {
    const isLane = field === 'source.partition' || field === 'source.offset';
    if (isLane) return prefixed(numberTest(COUNTS));
    return prefixed(fc.constantFrom('= logs', 'in (kafka, http)', '!= http', '= "o\'hara"'));
  }
  if (field === 'timestamp' || field === 'ingested_at') return prefixed(numberTest(TIMES));
  if (FLOAT_FIELDS.has(field)) return prefixed(numberTest(FLOATS.map(String)));
  if (field === 'threats.severity')
    return prefixed(fc.oneof(textTest, fc.constantFrom('>= high', '< medium', '= low')));
  if (field.startsWith('threats.')) {
    return prefixed(
      fc.oneof(
        textTest,
        TEXT_LISTS.map((text) => `= ${quoted(text)}`),
      ),
    );
  }
  const isCount = /_port|pid|status|number|_bytes|used|total|template/.test(field);
  return prefixed(isCount ? numberTest(LARGE_COUNTS) : textTest);
}

const attributeTest = fc
  .tuple(fc.constantFrom(...KEYS), fc.oneof(textTest, numberTest(NUMBERS_AS_TEXT.slice(0, 5))))
  .map(([key, test]) => `attr.${quoted(key)} ${test}`);

const tests: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: fc.constantFrom(...FIELD_NAMES).chain(testOf), weight: 5 },
  { arbitrary: attributeTest, weight: 1 },
  { arbitrary: testOf('message'), weight: 2 },
);

export const filterTexts: fc.Arbitrary<string> = fc.letrec<{ filter: string }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    tests,
    fc
      .tuple(tie('filter'), fc.constantFrom('and', 'OR'), tie('filter'))
      .map(([a, word, b]) => `(${a}) ${word} (${b})`),
    tie('filter').map((inner) => `not (${inner})`),
  ),
})).filter;
