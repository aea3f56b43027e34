/**
 * sudo and su: who became whom, with which command, and whether it was allowed.
 * `user` is who asked; the account that was wanted goes to `sudo.target_user` or `su.target_user`.
 */
import { TextField } from '../../encode/event-row.ts';
import { Byte, type Line, word } from './line.ts';
import type { UnsetFields } from './unset-fields.ts';

const NAME_END = word(' : ');
const FIELD_END = word(' ; ');
const CONTINUED = word('(command continued) ');
const COMMAND = word('COMMAND=');

const SUDO_FIELDS: readonly (readonly [Uint8Array, string])[] = [
  [word('TTY='), 'sudo.tty'],
  [word('PWD='), 'sudo.pwd'],
  [word('USER='), 'sudo.target_user'],
  [word('GROUP='), 'sudo.target_group'],
  [word('HOST='), 'sudo.host'],
  [word('CHROOT='), 'sudo.chroot'],
  [word('TSID='), 'sudo.session'],
];

/** `NAME : [REASON ; ]TTY=… ; PWD=… ; USER=… ; COMMAND=…`: a reason before the fields means that it was refused. */
export function extractSudo(line: Line, fields: UnsetFields): void {
  const nameStart = line.skipSpaces(line.start);
  const nameEnd = line.findWord(NAME_END, nameStart);
  if (nameEnd === -1) return;
  let at = line.skipSpaces(nameEnd + NAME_END.length);
  fields.user(nameStart, nameEnd);
  if (line.has(at, CONTINUED)) {
    fields.metadata('sudo.command', at + CONTINUED.length, line.end);
    return;
  }
  const hasReason = !isSudoField(line, at);
  while (at < line.end) {
    if (line.has(at, COMMAND)) {
      fields.metadata('sudo.command', at + COMMAND.length, line.end);
      if (hasReason) fields.failure();
      else fields.success();
      return;
    }
    const separator = line.findWord(FIELD_END, at);
    const end = separator === -1 ? line.end : separator;
    writeSudoField(line, fields, { start: at, end });
    at = separator === -1 ? line.end : separator + FIELD_END.length;
  }
}

function isSudoField(line: Line, at: number): boolean {
  if (line.has(at, COMMAND)) return true;
  for (const [prefix] of SUDO_FIELDS) if (line.has(at, prefix)) return true;
  return false;
}

function writeSudoField(line: Line, fields: UnsetFields, range: { start: number; end: number }): void {
  for (const [prefix, key] of SUDO_FIELDS) {
    if (line.has(range.start, prefix)) {
      fields.metadata(key, range.start + prefix.length, range.end);
      return;
    }
  }
}

const TO = word('(to ');
const FAILED_TO = word('FAILED SU (to ');
const FAILED_FOR = word('FAILED su for ');
const SUCCESSFUL_FOR = word('Successful su for ');
const BY = word(' by ');
const ON = word(' on ');

/** The forms of util-linux (`(to root) alice on pts/0`) and of shadow (`Successful su for root by alice`, `+ pts/0 alice:root`). */
export function extractSu(line: Line, fields: UnsetFields): void {
  const at = line.start;
  const first = line.at(at);
  if (line.has(at, TO)) {
    fields.success();
    extractSuTo(line, fields, at + TO.length);
  } else if (line.has(at, FAILED_TO)) {
    fields.failure();
    extractSuTo(line, fields, at + FAILED_TO.length);
  } else if (line.has(at, SUCCESSFUL_FOR)) {
    fields.success();
    extractSuFor(line, fields, at + SUCCESSFUL_FOR.length);
  } else if (line.has(at, FAILED_FOR)) {
    fields.failure();
    extractSuFor(line, fields, at + FAILED_FOR.length);
  } else if ((first === Byte.plus || first === Byte.dash) && line.at(at + 1) === Byte.space) {
    extractSuPair(line, fields, at + 2);
  }
}

/** `TARGET) NAME on TTY`. */
function extractSuTo(line: Line, fields: UnsetFields, at: number): void {
  const close = line.find(Byte.rightParen, at);
  if (close === -1) return;
  fields.metadata('su.target_user', at, close);
  const on = line.findLastWord(ON, close);
  fields.user(close + 2, on === -1 ? line.end : on);
}

/** `TARGET by NAME`. */
function extractSuFor(line: Line, fields: UnsetFields, at: number): void {
  const by = line.findLastWord(BY, at);
  if (by === -1) return;
  fields.metadata('su.target_user', at, by);
  fields.user(by + BY.length, line.end);
}

/** `TTY NAME:TARGET`, or `TTY NAME-TARGET` of older ones. */
function extractSuPair(line: Line, fields: UnsetFields, at: number): void {
  const nameStart = line.skipSpaces(line.tokenEnd(at));
  const colon = line.find(Byte.colon, nameStart);
  const separator = colon === -1 ? line.find(Byte.dash, nameStart) : colon;
  if (separator === -1) return;
  if (line.at(line.start) === Byte.plus) fields.success();
  else fields.failure();
  fields.text(TextField.user, nameStart, separator);
  fields.metadata('su.target_user', separator + 1, line.end);
}
