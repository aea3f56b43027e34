/**
 * Answers that ClickHouse, or something on the way to it, gives when an insert goes wrong, byte for byte as
 * version 26.7 sends them. The connection is closed after each.
 */
export type FakeAnswer =
  /** 500 of something that is not ClickHouse. */
  | 'status_500'
  /** Code 252. */
  | 'too_many_parts'
  /** Code 241. */
  | 'memory_limit'
  /** 200, and the answer breaks off in its body. */
  | 'half_body'
  /** 200, and a body that ends as it should but tells of an exception. */
  | 'exception_in_body';

export const FAKE_ANSWERS = [
  'status_500',
  'too_many_parts',
  'memory_limit',
  'half_body',
  'exception_in_body',
] as const satisfies readonly FakeAnswer[];

const VERSION = '(version 26.7.2.1)\n';
const TOO_MANY_PARTS = `Code: 252. DB::Exception: Too many parts (3000 with average size of 1.00 KiB) in table 'millrace.logs'. Merges are processing significantly slower than inserts. (TOO_MANY_PARTS) ${VERSION}`;
const MEMORY_LIMIT = `Code: 241. DB::Exception: (total) memory limit exceeded: would use 1.01 GiB (attempt to allocate chunk of 4.00 MiB), maximum: 1.00 GiB. (MEMORY_LIMIT_EXCEEDED) ${VERSION}`;
const TAG = 'kbqybuglylemoqhd';

function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

function head(status: string, headers: readonly string[] = []): string {
  const own = ['Content-Type: text/plain; charset=UTF-8', 'Connection: close', ...headers];
  return `HTTP/1.1 ${status}\r\n${own.join('\r\n')}\r\n\r\n`;
}

function exception(code: number, text: string): string {
  const headers = ['Transfer-Encoding: chunked', `X-ClickHouse-Exception-Code: ${code}`];
  return `${head('500 Internal Server Error', headers)}${chunk(text)}0\r\n\r\n`;
}

function status200(body: string): string {
  return head('200 OK', ['Transfer-Encoding: chunked', `X-ClickHouse-Exception-Tag: ${TAG}`]) + body;
}

/** All that goes over the wire. */
export function fakeAnswer(answer: FakeAnswer): string {
  switch (answer) {
    case 'status_500':
      return `${head('500 Internal Server Error', ['Content-Length: 22'])}Internal Server Error\n`;
    case 'too_many_parts':
      return exception(252, TOO_MANY_PARTS);
    case 'memory_limit':
      return exception(241, MEMORY_LIMIT);
    case 'half_body':
      return status200(chunk('x'.repeat(64)).slice(0, 32));
    case 'exception_in_body': {
      const marked = `\r\n__exception__\r\n${TAG}\r\n${MEMORY_LIMIT}${MEMORY_LIMIT.length} ${TAG}\r\n__exception__\r\n`;
      return status200(`${chunk(marked)}0\r\n\r\n`);
    }
    default:
      return answer satisfies never;
  }
}
