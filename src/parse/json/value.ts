/**
 * A strict, small JSON reader for the slow path (RFC 8259): recursive descent over a string into a tree that
 * keeps numbers as they were written and members in order, repeated names included. Two liberties: raw control
 * characters are taken in strings, and NaN and ±Infinity as numbers, because programs write them.
 */

export type JsonValue =
  | { readonly kind: 'string'; readonly text: string; readonly raw: string }
  | { readonly kind: 'number' | 'boolean' | 'null'; readonly text: string }
  | { readonly kind: 'array'; readonly items: readonly JsonValue[] }
  | { readonly kind: 'object'; readonly members: readonly JsonMember[] };

export interface JsonMember {
  readonly key: string;
  readonly value: JsonValue;
}

/** Objects and arrays may stand in each other this deep. */
const MAX_DEPTH = 64;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null|NaN|-?Infinity/y;
const SPACE = /[ \t\n\r]*/y;
const STRING_PART = /[^"\\]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[\dA-Fa-f]{4})/y;
// oxlint-disable-next-line no-control-regex -- finding them is its purpose
const CONTROL = /[\u0000-\u001f]/g;

/** What stopped the reader. */
export interface JsonFailure {
  readonly reason: 'malformed_json' | 'nested_too_deep';
  /** Says what was expected, and where; never the text itself. */
  readonly detail: string;
}

export class JsonReader {
  #text = '';
  #at = 0;
  #depth = 0;
  #failure: JsonFailure | undefined;

  /** The one value that `text` consists of, or why there is none. */
  read(text: string): JsonValue | JsonFailure {
    this.#text = text;
    this.#at = 0;
    this.#depth = 0;
    this.#failure = undefined;
    const value = this.#value();
    if (this.#failure === undefined && this.#at < text.length) this.#fail('the end');
    this.#text = '';
    return this.#failure ?? value;
  }

  #value(): JsonValue {
    this.#take(SPACE);
    const value = this.#bareValue();
    this.#take(SPACE);
    return value;
  }

  #bareValue(): JsonValue {
    const first = this.#text[this.#at];
    if (first === '{') return this.#nested(() => this.#object());
    if (first === '[') return this.#nested(() => this.#array());
    return first === '"' ? this.#string() : this.#scalar();
  }

  #nested(read: () => JsonValue): JsonValue {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) {
      this.#failure ??= {
        reason: 'nested_too_deep',
        detail: `nested deeper than ${MAX_DEPTH} at character ${this.#at}`,
      };
    }
    this.#at += 1;
    const value = this.#failure === undefined ? read() : NULL;
    this.#depth -= 1;
    return value;
  }

  #object(): JsonValue {
    const members: JsonMember[] = [];
    this.#take(SPACE);
    if (this.#accept('}')) return { kind: 'object', members };
    do {
      this.#take(SPACE);
      if (this.#text[this.#at] !== '"') return this.#fail('a name in quotes');
      const key = this.#string();
      this.#take(SPACE);
      if (key.kind !== 'string' || !this.#accept(':')) return this.#fail("':'");
      const value = this.#value();
      if (this.#failure !== undefined) return NULL;
      members.push({ key: key.text, value });
    } while (this.#accept(','));
    return this.#accept('}') ? { kind: 'object', members } : this.#fail("',' or '}'");
  }

  #array(): JsonValue {
    const items: JsonValue[] = [];
    this.#take(SPACE);
    if (this.#accept(']')) return { kind: 'array', items };
    do {
      const value = this.#value();
      if (this.#failure !== undefined) return NULL;
      items.push(value);
    } while (this.#accept(','));
    return this.#accept(']') ? { kind: 'array', items } : this.#fail("',' or ']'");
  }

  #string(): JsonValue {
    const start = this.#at;
    this.#at += 1;
    this.#take(STRING_PART);
    while (this.#text[this.#at] === '\\') {
      if (this.#take(ESCAPE) === '') return this.#fail('an escape');
      this.#take(STRING_PART);
    }
    if (!this.#accept('"')) return this.#fail('the end of a string');
    const raw = this.#text.slice(start, this.#at).replace(CONTROL, escapeControl);
    // The text was checked above, so this cannot throw; it only undoes the escapes.
    const text = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
    return { kind: 'string', text, raw };
  }

  #scalar(): JsonValue {
    const word = this.#take(WORD);
    if (word === 'null') return NULL;
    if (word === 'true' || word === 'false') return { kind: 'boolean', text: word };
    const text = word === '' ? this.#take(NUMBER) : word;
    return text === '' ? this.#fail('a value') : { kind: 'number', text };
  }

  /** What `pattern` (sticky) matches here, which is passed over. */
  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += match.length;
    return match;
  }

  #accept(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #fail(expected: string): JsonValue {
    this.#failure ??= {
      reason: 'malformed_json',
      detail: `expected ${expected} at character ${this.#at} of ${this.#text.length}`,
    };
    return NULL;
  }
}

const NULL: JsonValue = { kind: 'null', text: 'null' };

function escapeControl(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** The value as JSON text without white space. */
export function compactText(value: JsonValue): string {
  if (value.kind === 'array') return `[${value.items.map(compactText).join(',')}]`;
  if (value.kind === 'object') return `{${value.members.map(compactMember).join(',')}}`;
  return value.kind === 'string' ? value.raw : value.text;
}

function compactMember({ key, value }: JsonMember): string {
  return `${JSON.stringify(key)}:${compactText(value)}`;
}
