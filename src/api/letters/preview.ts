/**
 * What of a dead letter can be shown to who may not see its content: the names and the structure of JSON, as far as
 * it is JSON, and the punctuation of anything else. Letters outside strings become `x`, digits `0`, strings `***`.
 */

const MAX_CHARACTERS = 2000;
const MASK = '"***"';
const TOKEN = /"(?:[^"\\]|\\.)*"|"[^]*$|[^"]/gu;
const WHOLE_STRING = /^"[^]*"$/;
const SPACE = /\s/;

/** Undefined for bytes that are not text. */
export function redactedPreview(bytes: Uint8Array): string | undefined {
  const text = new TextDecoder().decode(bytes.subarray(0, MAX_CHARACTERS));
  if (text.includes('\0')) return undefined;
  const cut = bytes.length > MAX_CHARACTERS ? '…' : '';
  return (text.trimStart().startsWith('{') ? maskJson(text) : maskText(text)) + cut;
}

function maskText(text: string): string {
  return text.replaceAll(/\p{Nd}/gu, '0').replaceAll(/[\p{L}\p{M}\p{So}\uFFFD]/gu, 'x');
}

/**
 * Names are kept only while the text is JSON: behind a quote that is missing, values would stand where names do.
 */
function maskJson(text: string): string {
  const open: string[] = [];
  let before = '';
  let isBroken = false;
  let masked = '';
  for (const [token] of text.matchAll(TOKEN)) {
    if (token.startsWith('"')) {
      const role = roleOf(before, open.at(-1));
      isBroken ||= role === undefined || !WHOLE_STRING.test(token);
      masked += role === 'name' && !isBroken ? token : MASK;
      before = '"';
    } else {
      masked += maskText(token);
      if (SPACE.test(token)) continue;
      if (token === '{' || token === '[') open.push(token);
      if (token === '}' || token === ']') open.pop();
      before = token;
    }
  }
  return masked;
}

/** What a string behind the character `before` is; undefined where none can stand. */
function roleOf(before: string, container: string | undefined): 'name' | 'value' | undefined {
  if (before === ':') return 'value';
  if (before !== container && before !== ',') return undefined;
  return container === '{' ? 'name' : 'value';
}
