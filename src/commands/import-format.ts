/**
 * Cuts files into records for `import`: lines as they are, and JSON values that span lines or sit in an array.
 * Works on text as it streams in; what is kept is one unfinished record.
 */

export type ImportFormat = 'ndjson' | 'json' | 'text';

/**
 * What a file holds, from its beginning: lines of JSON, JSON over several lines or in an array, or text.
 * A broken first line must not make one value of all lines: several lines are one value only where the first
 * can go on and the next is no object of its own.
 */
export function detectFormat(beginning: string): ImportFormat {
  const start = beginning.trimStart();
  const [first, next] = firstLines(start);
  if (start.startsWith('[')) return isJson(first) ? 'json' : looksLikeArray(start);
  if (!start.startsWith('{')) return 'text';
  if (isJson(first) || !canGoOn(first)) return 'ndjson';
  return next.startsWith('{') && isJson(next) ? 'ndjson' : 'json';
}

/** Whether `detectFormat` would not change its answer with more of the file. */
export function isDetectable(beginning: string): boolean {
  const start = beginning.trimStart();
  const end = start.indexOf('\n');
  if (end === -1) return false;
  const first = start.slice(0, end);
  // Only of an unfinished value the next line that is not blank must be there, too.
  if (!first.startsWith('{') || isJson(first) || !canGoOn(first)) return true;
  return start.slice(end).trimStart().includes('\n');
}

/** A bracket also opens many log lines (`[2025-06-01 …]`, `[error] …`): an array goes on with a value. */
function looksLikeArray(start: string): ImportFormat {
  return /^\[\s*(\{|$)/.test(start) ? 'json' : 'text';
}

/** The first two lines that are not blank, without space around them. */
function firstLines(text: string): [string, string] {
  const end = text.indexOf('\n');
  if (end === -1) return [text.trim(), ''];
  const rest = text.slice(end).trimStart();
  return [text.slice(0, end).trim(), (rest.split('\n', 1)[0] ?? '').trim()];
}

/** Whether a line that begins an object may end where it does: outside of a string, with a bracket open. */
function canGoOn(line: string): boolean {
  if (!/^\{\s*("|$)/.test(line)) return false;
  let depth = 0;
  let isInString = false;
  for (let at = 0; at < line.length; at += 1) {
    const character = line[at] ?? '';
    if (isInString) {
      if (character === '\\') at += 1;
      else if (character === '"') isInString = false;
    } else if (character === '"') isInString = true;
    else if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
  }
  return depth > 0 && !isInString;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export interface RecordCutter {
  /** Complete records of the text so far, each on one line. */
  push(text: string): string[];
  /** What is left at the end. */
  end(): string[];
  /** What the file lacks, after `end`: records may be missing behind its last one. */
  readonly problem: string | undefined;
}

export function createCutter(format: ImportFormat): RecordCutter {
  return format === 'json' ? new JsonCutter() : new LineCutter();
}

class LineCutter implements RecordCutter {
  readonly problem = undefined;
  #rest = '';

  push(text: string): string[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  }

  end(): string[] {
    const rest = this.#rest;
    this.#rest = '';
    return rest === '' ? [] : [rest];
  }
}

/**
 * Values of one array, or one after the other. Finds the ends of objects by counting braces outside of strings;
 * whether what is between is right JSON is judged where it arrives. Anything else becomes a record too,
 * so that it is refused there and not lost here.
 */
class JsonCutter implements RecordCutter {
  #value = '';
  #stray = '';
  #depth = 0;
  /** Arrays around the values; they are no part of a record. */
  #openArrayCount = 0;
  #isInString = false;
  #isEscaped = false;
  #records: string[] = [];

  push(text: string): string[] {
    let start = 0;
    for (let at = 0; at < text.length; at += 1) {
      const character = text[at] ?? '';
      if (this.#isInString) this.#stepInString(character);
      else if (character === '{' || (character === '[' && this.#depth > 0)) {
        if (this.#depth === 0) start = at;
        this.#depth += 1;
      } else if (this.#depth === 0) this.#stepOutside(character);
      else if (character === '"') this.#isInString = true;
      else if (character === '}' || character === ']') {
        this.#depth -= 1;
        if (this.#depth === 0) this.#endValue(text.slice(start, at + 1));
      }
    }
    if (this.#depth > 0) this.#value += text.slice(this.#value === '' ? start : 0);
    return this.#take();
  }

  end(): string[] {
    this.#endStray();
    if (this.#value !== '') this.#endValue('');
    return this.#take();
  }

  get problem(): string | undefined {
    return this.#openArrayCount > 0 ? 'the array is not closed, the file seems to be cut short' : undefined;
  }

  #take(): string[] {
    const records = this.#records;
    this.#records = [];
    return records;
  }

  #endValue(rest: string): void {
    this.#endStray();
    this.#records.push(oneLine(this.#value + rest));
    this.#value = '';
  }

  #stepInString(character: string): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (character === '\\') this.#isEscaped = true;
    else if (character === '"') this.#isInString = false;
  }

  #stepOutside(character: string): void {
    if (character === '[') this.#openArrayCount += 1;
    if (character === ']') this.#openArrayCount = Math.max(0, this.#openArrayCount - 1);
    if (/[\s,[\]]/.test(character)) this.#endStray();
    else this.#stray += character;
  }

  #endStray(): void {
    if (this.#stray !== '') this.#records.push(this.#stray);
    this.#stray = '';
  }
}

/** Line breaks of JSON stand between tokens only, where a space means the same. */
function oneLine(value: string): string {
  return value.replaceAll(/[\r\n]+/g, ' ');
}
