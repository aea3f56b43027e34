/**
 * Changes of accounts and groups: useradd, usermod, userdel, groupadd, groupmod, groupdel, gpasswd, passwd, chpasswd, chage.
 * `user` is the account that was changed; a group goes to `group.name`, who did it to `user.changed_by`.
 */
import { Byte, type Line, word } from './line.ts';
import type { UnsetFields } from './unset-fields.ts';

type Extract = (line: Line, fields: UnsetFields, at: number) => void;

const NAME = word('name=');
const UID = word('UID=');
const TO_GROUP = word('group ');
const CHANGED_BY = word(' changed by ');
const BY = word(' by ');

export function extractAccountChange(line: Line, fields: UnsetFields): void {
  const at = line.start;
  for (const [prefix, extract] of TEXTS) {
    if (line.has(at, prefix)) {
      extract(line, fields, at + prefix.length);
      return;
    }
  }
}

/** `name=NAME, UID=N, GID=N, …`. */
function extractNewUser(line: Line, fields: UnsetFields, at: number): void {
  const name = line.findWord(NAME, at);
  if (name === -1) return;
  fields.success();
  fields.user(name + NAME.length, commaOrEnd(line, name));
  const uid = line.findWord(UID, name);
  if (uid !== -1) fields.metadata('user.id', uid + UID.length, commaOrEnd(line, uid));
}

function extractNewGroup(line: Line, fields: UnsetFields, at: number): void {
  const name = line.findWord(NAME, at);
  if (name === -1) return;
  fields.success();
  fields.metadata('group.name', name + NAME.length, commaOrEnd(line, name));
}

/** `'NAME'…[ group 'GROUP']`. */
function extractChangedUser(line: Line, fields: UnsetFields, at: number): void {
  const end = quotedEnd(line, at);
  if (end === -1) return;
  fields.success();
  fields.user(at + 1, end);
  const group = line.findWord(TO_GROUP, end);
  if (group === -1) return;
  const groupStart = group + TO_GROUP.length;
  const groupEnd = quotedEnd(line, groupStart);
  if (groupEnd !== -1) fields.metadata('group.name', groupStart + 1, groupEnd);
}

function extractFailedUser(line: Line, fields: UnsetFields, at: number): void {
  const end = quotedEnd(line, at);
  if (end === -1) return;
  fields.failure();
  fields.user(at + 1, end);
}

function extractChangedGroup(line: Line, fields: UnsetFields, at: number): void {
  const end = quotedEnd(line, at);
  if (end === -1) return;
  fields.success();
  fields.metadata('group.name', at + 1, end);
}

/** `'NAME' changed by 'OTHER'`. */
function extractPasswordFor(line: Line, fields: UnsetFields, at: number): void {
  const end = quotedEnd(line, at);
  if (end === -1) return;
  fields.success();
  fields.user(at + 1, end);
  if (!line.has(end + 1, CHANGED_BY)) return;
  const otherStart = end + 1 + CHANGED_BY.length;
  const otherEnd = quotedEnd(line, otherStart);
  if (otherEnd !== -1) fields.metadata('user.changed_by', otherStart + 1, otherEnd);
}

function extractName(line: Line, fields: UnsetFields, at: number): void {
  fields.success();
  fields.user(at, line.end);
}

/** `NAME added by OTHER to group GROUP` of gpasswd. */
function extractMember(line: Line, fields: UnsetFields, at: number): void {
  const nameEnd = line.tokenEnd(at);
  const by = line.findWord(BY, nameEnd);
  const group = line.findLastWord(TO_GROUP, nameEnd);
  if (by === -1 || group < by) return;
  fields.success();
  fields.user(at, nameEnd);
  const otherStart = by + BY.length;
  fields.metadata('user.changed_by', otherStart, line.tokenEnd(otherStart));
  fields.metadata('group.name', group + TO_GROUP.length, line.end);
}

function commaOrEnd(line: Line, from: number): number {
  const comma = line.find(Byte.comma, from);
  return comma === -1 ? line.end : comma;
}

/** End of the quoted name whose opening quote stands at `at` (older versions open with a backquote); -1: none. */
function quotedEnd(line: Line, at: number): number {
  const quote = line.at(at);
  if (quote !== Byte.apostrophe && quote !== Byte.backquote) return -1;
  return line.find(Byte.apostrophe, at + 1);
}

const TEXTS: readonly (readonly [Uint8Array, Extract])[] = [
  [word('new user: '), extractNewUser],
  [word('new group: '), extractNewGroup],
  [word('group added to '), extractNewGroup],
  [word('failed adding user '), extractFailedUser],
  [word('add '), extractChangedUser],
  [word('change user name '), extractChangedUser],
  [word('change user '), extractChangedUser],
  [word('lock user '), extractChangedUser],
  [word('unlock user '), extractChangedUser],
  [word('delete user '), extractChangedUser],
  [word('delete '), extractChangedUser],
  [word('removed group '), extractChangedGroup],
  [word('group '), extractChangedGroup],
  [word('password for '), extractPasswordFor],
  [word('password changed for '), extractName],
  [word('changed password expiry for '), extractName],
  [word('user '), extractMember],
];
