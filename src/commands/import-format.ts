/**
 * Cuts files into records for `import`: lines as they are, and JSON values that span lines or sit in an array.
 * Works on text as it streams in; what is kept is one unfinished record.
 */

export type ImportFormat = 'ndjson' | 'json' | 'text';

/** What a file holds, from its beginning: a line of JSON, JSON over several lines or in an array, or text. */
export function detectFormat(beginning: string): ImportFormat {
  const start = beginning.trimStart();
  if (start.startsWith('[')) return isJson(firstLineOf(start)) ? 'json' : looksLikeArray(start);
  if (!start.startsWith('{')) return 'text';
  return isJson(firstLineOf(start)) ? 'ndjson' : 'json';
}

/** A bracket also opens many log lines (`[2025-06-01 …]`, `[error] …`): an array goes on with a value. */
function looksLikeArray(start: string): ImportFormat {
  return /^\[\s*(\{|$)/.test(start) ? 'json' : 'text';
}

function firstLineOf(text: string): string {
  return text.split('\n', 1)[0] ?? '';
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
}

export function createCutter(format: ImportFormat): RecordCutter {
  return format === 'json' ? new JsonCutter() : new LineCutter();
}

class LineCutter implements RecordCutter {
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
