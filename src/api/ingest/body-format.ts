/**
 * What a posted body is: by its Content-Type, or by its first bytes when the client says nothing.
 */
import { MillraceError, quoteValue } from '../../errors.ts';
import type { BodyFormat } from '../../pipeline/parse-protocol.ts';

const FORMAT_BY_TYPE: Readonly<Record<string, BodyFormat>> = {
  'application/json': 'json',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'text/plain': 'text',
};
const CHARSETS: ReadonlySet<string> = new Set(['utf-8', 'utf8', 'us-ascii']);

/** The format a Content-Type stands for, undefined when there is none; throws `unsupported_media_type`. */
export function formatOfType(contentType: string | undefined): BodyFormat | undefined {
  if (contentType === undefined) return undefined;
  const [type = '', ...parameters] = contentType.split(';').map((part) => part.trim().toLowerCase());
  const format = Object.hasOwn(FORMAT_BY_TYPE, type) ? FORMAT_BY_TYPE[type] : undefined;
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice('charset='.length);
  if (format === undefined || (charset !== undefined && !CHARSETS.has(charset.replaceAll('"', '')))) {
    const known = Object.keys(FORMAT_BY_TYPE).join(', ');
    throw new MillraceError(
      'unsupported_media_type',
      `Content-Type must be one of ${known}, in UTF-8; got ${quoteValue(contentType)}.`,
    );
  }
  return format;
}

const LINE_FEED = 0x0a;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;

/** An array is JSON; an object is NDJSON when the next line starts with one too; all else is text. */
export function sniffFormat(body: ArrayBuffer): BodyFormat {
  const bytes = new Uint8Array(body);
  const start = skipBlanks(bytes, 0);
  if (bytes[start] === OPEN_BRACKET) return 'json';
  if (bytes[start] !== OPEN_BRACE) return 'text';
  const lineEnd = bytes.indexOf(LINE_FEED, start);
  return lineEnd >= 0 && bytes[skipBlanks(bytes, lineEnd)] === OPEN_BRACE ? 'ndjson' : 'json';
}

function skipBlanks(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at] === 0x20 || bytes[at] === 0x09 || bytes[at] === LINE_FEED || bytes[at] === 0x0d) at++;
  return at;
}
