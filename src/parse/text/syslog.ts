/**
 * Syslog lines: RFC 5424, and the older form of RFC 3164 with or without `<PRI>` (files of rsyslog and journald too).
 * process and service both become the program's name, so that volume per service means something; the module in
 * `sshd(pam_unix)` goes to metadata `syslog.module`, a tag that says more than name and pid to `syslog.tag`,
 * what is no number in the pid's place to `syslog.procid`.
 */
import { type EventRow, TextField, UintField } from '../../encode/event-row.ts';
import { severityOfName, severityOfSyslog } from '../severity.ts';
import { Byte, isDigit, type Line, word } from './line.ts';
import { extractSecurity } from './security.ts';
import { StructuredData } from './structured-data.ts';
import { SyslogTime } from './syslog-time.ts';
import { Tag } from './tag.ts';
import type { UnsetFields } from './unset-fields.ts';

/** Facility names by number (RFC 5424 table 1, names of syslog.h where it has one). */
const FACILITIES = (
  'kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock ' +
  'local0 local1 local2 local3 local4 local5 local6 local7'
)
  .split(' ')
  .map(word);
const MAX_PRIORITY = 191;
const MAX_PID = 0xffff_ffff;
const VERSION = word('1 ');
const BYTE_ORDER_MARK = Uint8Array.of(0xef, 0xbb, 0xbf);

const time = new SyslogTime();
const tag = new Tag();
const structuredData = new StructuredData();
const range = { start: 0, end: 0 };

/** A line that begins with `<`; false, and nothing set, when no priority follows. */
export function parsePriorityLine(line: Line, row: EventRow, fields: UnsetFields): boolean {
  const start = line.start + 1;
  const end = line.digitsEnd(start);
  const priority = line.uint(start, end);
  if (priority === -1 || priority > MAX_PRIORITY || end - start > 3) return false;
  if (line.at(end) !== Byte.greater || (line.at(start) === Byte.zero && end - start > 1)) return false;
  const facility = FACILITIES[priority >> 3];
  if (facility !== undefined) row.metadata('syslog.facility', facility, spanOf(0, facility.length));
  row.severity(severityOfSyslog(priority & 7));
  const at = end + 1;
  if (line.has(at, VERSION) && isTimeOrNil(line, at + VERSION.length)) {
    parseStructuredLine(line, row, fields);
    return true;
  }
  if (time.readLegacy(line, at, row.recordTimeUs) || time.readIso(line, at, row.recordTimeUs)) {
    writeTime(row, time.timeUs);
    readHostAndTag(line, row, fields);
  } else {
    readTag(line, row, { fields, at });
  }
  return true;
}

/** `Mmm dd hh:mm:ss host tag: message`; false, and nothing set, when the line does not begin with such a time. */
export function parseLegacyLine(line: Line, row: EventRow, fields: UnsetFields): boolean {
  if (!time.readLegacy(line, line.start, row.recordTimeUs)) return false;
  writeTime(row, time.timeUs);
  readHostAndTag(line, row, fields);
  return true;
}

/**
 * `2026-11-21T09:00:00.123456+00:00 host tag[pid]: message`. Many programs begin their lines with such a time, so
 * only a host and a tag behind it make it syslog; otherwise time and level are taken and the message is the line.
 */
export function parseIsoLine(line: Line, row: EventRow, fields: UnsetFields): boolean {
  if (!time.readIso(line, line.start, row.recordTimeUs)) return false;
  writeTime(row, time.timeUs);
  const hostStart = line.skipSpaces(time.end);
  const hostEnd = line.tokenEnd(hostStart);
  const severity = severityOfToken(line, hostStart, hostEnd);
  if (severity === 0 && isHostName(line, hostStart, hostEnd) && tag.read(line, hostEnd + 1)) {
    readHostAndTag(line, row, fields);
    return true;
  }
  if (severity !== 0) row.severity(severity);
  row.text(TextField.message, line.bytes, spanOf(line.start, line.end));
  return true;
}

/** Everything behind `<PRI>1 `. */
function parseStructuredLine(line: Line, row: EventRow, fields: UnsetFields): void {
  const timeStart = line.find(Byte.space, line.start) + 1;
  const timeEnd = line.tokenEnd(timeStart);
  if (!isNil(line, timeStart, timeEnd)) {
    writeTime(row, time.readIso(line, timeStart, row.recordTimeUs) ? time.timeUs : Number.NaN);
  }
  const hostEnd = readField(line, fields, { field: TextField.host, after: timeEnd });
  const programStart = Math.min(hostEnd + 1, line.end);
  const programEnd = readField(line, fields, { field: TextField.process, after: hostEnd });
  readField(line, fields, { field: TextField.service, after: hostEnd });
  const procidEnd = line.tokenEnd(programEnd + 1);
  writeProcid(line, fields, { start: programEnd + 1, end: procidEnd });
  const msgidEnd = line.tokenEnd(procidEnd + 1);
  if (!isNil(line, procidEnd + 1, msgidEnd)) fields.metadata('syslog.msgid', procidEnd + 1, msgidEnd);
  let at = Math.min(msgidEnd + 1, line.end);
  if (line.at(at) === Byte.dash && (line.at(at + 1) === Byte.space || at + 1 === line.end)) at++;
  else at = structuredData.read(line, at, row);
  if (line.at(at) === Byte.space) at++;
  if (line.has(at, BYTE_ORDER_MARK)) at += BYTE_ORDER_MARK.length;
  row.text(TextField.message, line.bytes, spanOf(at, line.end));
  extractSecurity(row, line.bytes, at, line.end, programStart, programEnd);
}

/** The token behind the space at `after` into a column, unless it is nil; returns its end. */
function readField(line: Line, fields: UnsetFields, target: { field: TextField; after: number }): number {
  const start = Math.min(target.after + 1, line.end);
  const end = line.tokenEnd(start);
  if (!isNil(line, start, end)) fields.text(target.field, start, end);
  return end;
}

/** ` host tag: message` behind the time; some senders leave out the host. */
function readHostAndTag(line: Line, row: EventRow, fields: UnsetFields): void {
  let at = time.end;
  const hasColon = line.at(at) === Byte.colon;
  at = line.skipSpaces(hasColon ? at + 1 : at);
  const hostEnd = line.tokenEnd(at);
  if (!hasColon && line.at(hostEnd - 1) !== Byte.colon && hostEnd > at) {
    fields.text(TextField.host, at, hostEnd);
    at = line.skipSpaces(hostEnd);
  }
  readTag(line, row, { fields, at });
}

function readTag(line: Line, row: EventRow, target: { fields: UnsetFields; at: number }): void {
  const { fields, at } = target;
  if (!tag.read(line, at)) {
    row.text(TextField.message, line.bytes, spanOf(at, line.end));
    extractSecurity(row, line.bytes, at, line.end, at, at);
    return;
  }
  writeProgram(line, fields);
  if (tag.procidEnd > tag.procidStart) {
    writeProcid(line, fields, { start: tag.procidStart, end: tag.procidEnd });
  }
  row.text(TextField.message, line.bytes, spanOf(tag.messageStart, line.end));
  extractSecurity(row, line.bytes, tag.messageStart, line.end, tag.nameStart, tag.nameEnd);
}

function writeProgram(line: Line, fields: UnsetFields): void {
  let start = tag.nameStart;
  let end = tag.nameEnd;
  if (line.at(end - 1) === Byte.rightParen) {
    const open = line.find(Byte.leftParen, start);
    if (open > start && open < end) {
      fields.metadata('syslog.module', open + 1, end - 1);
      end = open;
    }
  }
  if (line.at(start) === Byte.slash) start = line.findLast(Byte.slash, end) + 1;
  if (tag.isOdd || start > tag.nameStart) fields.metadata('syslog.tag', tag.nameStart, tag.end);
  // `-- root` of login names nobody.
  if (line.at(start) === Byte.dash) return;
  fields.text(TextField.process, start, end);
  fields.text(TextField.service, start, end);
}

function writeProcid(line: Line, fields: UnsetFields, procid: { start: number; end: number }): void {
  const { start, end } = procid;
  const pid = line.uint(start, end);
  if (pid !== -1 && pid <= MAX_PID) fields.uint(UintField.pid, pid);
  else if (!isNil(line, start, end)) fields.metadata('syslog.procid', start, end);
}

function writeTime(row: EventRow, timeUs: number): void {
  if (Number.isNaN(timeUs)) row.timeUnreadable();
  else row.timestamp(timeUs);
}

function isTimeOrNil(line: Line, at: number): boolean {
  return isDigit(line.at(at)) || (line.at(at) === Byte.dash && line.at(at + 1) === Byte.space);
}

function isNil(line: Line, start: number, end: number): boolean {
  return end - start === 1 && line.at(start) === Byte.dash;
}

/** Level of `INFO`, `[info]`, `WARN:`; 0 when it is none. */
function severityOfToken(line: Line, start: number, end: number): number {
  let from = start;
  let to = end;
  if (line.at(to - 1) === Byte.colon) to--;
  if (line.at(from) === Byte.leftBracket && line.at(to - 1) === Byte.rightBracket) {
    from++;
    to--;
  }
  return to > from ? severityOfName(line.bytes, spanOf(from, to)) : 0;
}

/** Letters, digits, `.`, `-`, `_` and `:` (IPv6). */
function isHostName(line: Line, start: number, end: number): boolean {
  if (end <= start || line.at(end - 1) === Byte.colon) return false;
  for (let i = start; i < end; i++) {
    const byte = line.at(i);
    const lower = byte | 0x20;
    const isLetter = lower >= 0x61 && lower <= 0x7a;
    const isMark = byte === Byte.dot || byte === Byte.dash || byte === Byte.underscore || byte === Byte.colon;
    if (!isLetter && !isDigit(byte) && !isMark) return false;
  }
  return true;
}

function spanOf(start: number, end: number): { start: number; end: number } {
  range.start = start;
  range.end = end;
  return range;
}
