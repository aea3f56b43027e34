/**
 * Web access logs of Apache and nginx, common and combined, also with the virtual host in front.
 * The message is the whole line; the target keeps its query string. Bytes, referer and user agent go to metadata
 * `http.response.body.bytes`, `http.request.referrer`, `user_agent.original` (names of ECS).
 * Status 4xx is a warning and 5xx an error; both are the outcome `failure`.
 */
import { type EventRow, IpField, TextField, UintField } from '../../encode/event-row.ts';
import { parseClfTime } from '../time.ts';
import { Byte, type Line, word } from './line.ts';
import type { UnsetFields } from './unset-fields.ts';

/** `10/Oct/2000:13:55:36 -0700` */
const TIME_BYTES = 26;
/** Room for the time, its brackets and the space before the request. */
const BRACKET_BYTES = TIME_BYTES + 3;
const MAX_METHOD_BYTES = 20;
const PROTOCOL = word(' HTTP/');
const SEVERITY_INFO = 9;
const SEVERITY_WARN = 13;
const SEVERITY_ERROR = 17;

const range = { start: 0, end: 0 };

/** Reads the line when it is one of an access log; otherwise false, and nothing set. */
export function parseAccessLine(line: Line, row: EventRow, fields: UnsetFields): boolean {
  // Servers escape quotes in all they log, so the first one opens the request, and only the server's
  // own time can stand right before it, whatever name a client gave for its user.
  const quote = line.find(Byte.quote, line.start + BRACKET_BYTES);
  const open = quote - BRACKET_BYTES;
  if (quote === -1 || open <= line.start + 4) return false;
  if (line.at(open) !== Byte.leftBracket || line.at(quote - 2) !== Byte.rightBracket) return false;
  const requestEnd = line.closingQuote(quote + 1);
  if (requestEnd === -1) return false;
  const status = line.uint(requestEnd + 2, line.digitsEnd(requestEnd + 2));
  if (status < 100 || status > 999) return false;
  range.start = open + 1;
  range.end = quote - 2;
  const timeUs = parseClfTime(line.bytes, range, row.recordTimeUs);
  if (Number.isNaN(timeUs)) return false;
  readClient(line, row, fields);
  readUser(line, fields, open);
  row.timestamp(timeUs);
  readRequest(line, fields, { start: quote + 1, end: requestEnd });
  writeStatus(row, fields, status);
  readTail(line, fields, requestEnd + 5);
  range.start = line.start;
  range.end = line.end;
  row.text(TextField.message, line.bytes, range);
  return true;
}

/** Start of the ident field, behind the client and a virtual host before it. */
let identStart = 0;

function readClient(line: Line, row: EventRow, fields: UnsetFields): void {
  const firstEnd = line.tokenEnd(line.start);
  range.start = line.start;
  range.end = firstEnd;
  identStart = firstEnd + 1;
  if (row.ip(IpField.source, line.bytes, range)) return;
  const secondEnd = line.tokenEnd(firstEnd + 1);
  range.start = firstEnd + 1;
  range.end = secondEnd;
  if (row.ip(IpField.source, line.bytes, range)) {
    const colon = line.find(Byte.colon, line.start);
    fields.metadata('url.domain', line.start, colon !== -1 && colon < firstEnd ? colon : firstEnd);
    identStart = secondEnd + 1;
    return;
  }
  fields.domain(line.start, firstEnd);
}

/** `IDENT USER ` before the bracket; the user may contain spaces. */
function readUser(line: Line, fields: UnsetFields, open: number): void {
  const identEnd = line.tokenEnd(identStart);
  const userEnd = open - 1;
  if (identEnd + 1 >= userEnd) return;
  if (!isNil(line, identEnd + 1, userEnd)) fields.user(identEnd + 1, userEnd);
}

/** `METHOD TARGET HTTP/1.1`; anything else, such as TLS bytes on a plain port, stays whole in `http.request`. */
function readRequest(line: Line, fields: UnsetFields, request: { start: number; end: number }): void {
  const { start, end } = request;
  const methodEnd = methodEndAt(line, start);
  if (methodEnd === -1 || methodEnd >= end) {
    if (!isNil(line, start, end)) fields.metadata('http.request', start, end);
    return;
  }
  fields.text(TextField.httpMethod, start, methodEnd);
  const lastSpace = line.findLast(Byte.space, end);
  const hasProtocol = lastSpace >= methodEnd && line.has(lastSpace, PROTOCOL);
  fields.text(TextField.httpPath, methodEnd + 1, hasProtocol ? lastSpace : end);
  if (hasProtocol) fields.metadata('http.version', lastSpace + PROTOCOL.length, end);
}

/** End of the upper-case letters at `at` when a space follows, -1 otherwise. */
function methodEndAt(line: Line, at: number): number {
  for (let i = at; i < at + MAX_METHOD_BYTES; i++) {
    const byte = line.at(i);
    if (byte === Byte.space) return i > at ? i : -1;
    if ((byte < 0x41 || byte > 0x5a) && byte !== Byte.dash && byte !== Byte.underscore) return -1;
  }
  return -1;
}

function writeStatus(row: EventRow, fields: UnsetFields, status: number): void {
  row.uint(UintField.httpStatus, status);
  if (status >= 500) row.severity(SEVERITY_ERROR);
  else row.severity(status >= 400 ? SEVERITY_WARN : SEVERITY_INFO);
  if (status >= 400) fields.failure();
  else fields.success();
}

/** ` BYTES[ "REFERER" "USER AGENT"]` at `at`; what follows is left to the message. */
function readTail(line: Line, fields: UnsetFields, at: number): void {
  const sizeEnd = line.tokenEnd(at + 1);
  if (line.digitsEnd(at + 1) === sizeEnd) fields.metadata('http.response.body.bytes', at + 1, sizeEnd);
  if (line.at(sizeEnd + 1) !== Byte.quote) return;
  const referer = sizeEnd + 2;
  const refererEnd = line.closingQuote(referer);
  if (refererEnd === -1) return;
  if (!isNil(line, referer, refererEnd)) fields.metadata('http.request.referrer', referer, refererEnd);
  if (line.at(refererEnd + 2) !== Byte.quote) return;
  const agent = refererEnd + 3;
  const agentEnd = line.closingQuote(agent);
  if (agentEnd !== -1 && !isNil(line, agent, agentEnd))
    fields.metadata('user_agent.original', agent, agentEnd);
}

function isNil(line: Line, start: number, end: number): boolean {
  return end - start === 1 && line.at(start) === Byte.dash;
}
