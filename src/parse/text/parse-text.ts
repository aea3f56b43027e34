/* oxlint-disable max-params -- the range of one record, called per event: bench/parse-text.ts */
/**
 * Text lines → events, over bytes, without strings or objects on the usual path, and never an exception.
 * Forms: RFC 5424, RFC 3164 with and without priority, ISO-stamped syslog, web access logs; anything else is plain
 * text whose message is the line. process and service of a syslog line are both its program.
 */
import { type EventRow, TextField } from '../../encode/event-row.ts';
import type { ParseOutcome } from '../parse-outcome.ts';
import { parseAccessLine } from './access-log.ts';
import { Byte, isDigit, Line } from './line.ts';
import { parseIsoLine, parseLegacyLine, parsePriorityLine } from './syslog.ts';
import { UnsetFields } from './unset-fields.ts';
import { invalidUtf8At, repairedBytesMax, repairUtf8 } from './utf8.ts';

const BYTE_ORDER_MARK = Uint8Array.of(0xef, 0xbb, 0xbf);

const line = new Line();
const range = { start: 0, end: 0 };
let fields: UnsetFields | undefined;

/** Reads the record `bytes[start, end)`, which is no JSON object, into a fresh row. Blank lines are `blank`. */
export function parseText(bytes: Uint8Array, start: number, end: number, row: EventRow): ParseOutcome {
  if (invalidUtf8At(bytes, start, end) === -1) return parseLine(bytes, start, end, row);
  range.start = start;
  range.end = end;
  const repaired = new Uint8Array(repairedBytesMax(end - start));
  const length = repairUtf8(bytes, range, repaired);
  row.textRepaired();
  return parseLine(repaired, 0, length, row);
}

function parseLine(bytes: Uint8Array, start: number, end: number, row: EventRow): ParseOutcome {
  line.reset(bytes, start, end);
  if (line.has(start, BYTE_ORDER_MARK)) line.start += BYTE_ORDER_MARK.length;
  trimLineEnd();
  const lineStart = line.start;
  while (line.start < line.end && isBlank(line.at(line.start))) line.start++;
  if (line.start === line.end) return 'blank';
  const target = (fields ??= new UnsetFields(row, bytes));
  target.reset(row, bytes);
  if (parseForm(row, target)) return 'event';
  range.start = lineStart;
  range.end = line.end;
  row.text(TextField.message, bytes, range);
  return 'event';
}

function parseForm(row: EventRow, target: UnsetFields): boolean {
  const first = line.at(line.start);
  if (first === Byte.less) return parsePriorityLine(line, row, target);
  if (isDigit(first)) {
    if (parseIsoLine(line, row, target)) return true;
  } else if (parseLegacyLine(line, row, target)) {
    return true;
  }
  return parseAccessLine(line, row, target);
}

function trimLineEnd(): void {
  while (line.end > line.start) {
    const byte = line.at(line.end - 1);
    if (byte !== Byte.lineFeed && byte !== Byte.carriageReturn) return;
    line.end--;
  }
}

function isBlank(byte: number): boolean {
  return byte === Byte.space || (byte >= Byte.tab && byte <= Byte.carriageReturn);
}
