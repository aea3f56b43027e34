/**
 * A record's value as one line of JSON.
 */

const decoder = new TextDecoder();
const OPEN_BRACE = 0x7b;

/** A JSON object as it is, without line breaks between its tokens; anything else as `{"message": …}`. */
export function toJsonLine(value: Uint8Array): string {
  const text = decoder.decode(value);
  if (isObject(value, text)) return /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]+/g, ' ').trim() : text;
  return JSON.stringify({ message: text.replace(/\r?\n$/, '') });
}

function isObject(value: Uint8Array, text: string): boolean {
  if (value[0] !== OPEN_BRACE && !text.trimStart().startsWith('{')) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
