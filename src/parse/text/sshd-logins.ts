/**
 * Lines of sshd about who tries to log in: user, peer, port, outcome, `auth.method`, `auth.key`.
 * `at` is the first byte behind the text by which the line was recognised.
 */
import { type Line, word } from './line.ts';
import { extractPamPairs } from './pam.ts';
import { PeerClause } from './peer-clause.ts';
import type { UnsetFields } from './unset-fields.ts';

const clause = new PeerClause();

const FOR = word(' for ');
const BY_USER = word(' by user ');
const ID = word(' id ');
const SSH_KEY_SEPARATOR = word(': ');
const NOT_ALLOWED = word(' not allowed because ');
const BY_PAM = word(' by PAM account configuration');
const INVALID_USER = word('invalid user ');
const ILLEGAL_USER = word('illegal user ');
const AUTHENTICATING_USER = word('authenticating user ');

export function extractAccepted(line: Line, fields: UnsetFields, at: number): void {
  if (extractAttempt(line, fields, at)) fields.success();
}

export function extractFailed(line: Line, fields: UnsetFields, at: number): void {
  if (extractAttempt(line, fields, at)) fields.failure();
}

/** `METHOD for [invalid user ]NAME from ADDRESS port N ssh2[: KEY]`. */
export function extractAttempt(line: Line, fields: UnsetFields, at: number): boolean {
  const methodEnd = line.tokenEnd(at);
  if (!line.has(methodEnd, FOR)) return false;
  if (!extractNameAndPeer(line, fields, methodEnd + FOR.length)) return false;
  fields.metadata('auth.method', at, methodEnd);
  if (clause.end < line.end) {
    const key = line.findWord(SSH_KEY_SEPARATOR, clause.end);
    if (key !== -1) fields.metadata('auth.key', key + SSH_KEY_SEPARATOR.length, line.end);
  }
  return true;
}

/** `[invalid user ]NAME from ADDRESS[ port N ssh2[: KEY]]`. */
function extractNameAndPeer(line: Line, fields: UnsetFields, at: number): boolean {
  const nameStart = skipUserKind(line, at);
  // Key details end in a fingerprint, never in a clause, so a clause at the end is sshd's. With details behind it
  // the name of an existing account holds no clause, but the id of the key may: then the first one is right.
  const isInvalid = nameStart > at;
  if (!clause.readLast(line, nameStart) && !clause.readInside(line, nameStart, isInvalid)) return false;
  fields.user(nameStart, clause.userEnd);
  clause.write(fields);
  return true;
}

export function extractInvalidUser(line: Line, fields: UnsetFields, at: number): void {
  fields.failure();
  if (clause.readLast(line, at)) {
    fields.user(at, clause.userEnd);
    clause.write(fields);
  }
}

export function extractMaximumAttempts(line: Line, fields: UnsetFields, at: number): void {
  if (extractNameAndPeer(line, fields, at)) fields.failure();
}

/** `PAM: Authentication failure for [illegal user ]NAME from HOST`. */
export function extractPamError(line: Line, fields: UnsetFields, at: number): void {
  const name = line.findWord(FOR, at);
  if (name !== -1 && extractNameAndPeer(line, fields, name + FOR.length)) fields.failure();
}

/** A name up to the end of the line. */
export function extractName(line: Line, fields: UnsetFields, at: number): void {
  fields.failure();
  fields.user(skipUserKind(line, at), line.end);
}

/** `NAME from HOST not allowed because REASON`, `NAME not allowed because REASON`. */
export function extractNotAllowed(line: Line, fields: UnsetFields, at: number): void {
  const end = line.end;
  const reason = line.findWord(NOT_ALLOWED, at);
  if (reason === -1) return;
  fields.failure();
  line.end = reason;
  if (clause.readLast(line, at)) {
    fields.user(at, clause.userEnd);
    clause.write(fields);
  } else {
    fields.user(at, reason);
  }
  line.end = end;
}

export function extractAccessDenied(line: Line, fields: UnsetFields, at: number): void {
  const end = line.findLastWord(BY_PAM, at);
  if (end === -1) return;
  fields.failure();
  fields.user(at, end);
}

/** `N more authentication failures; logname= … rhost=HOST  user=NAME`. */
export function extractMoreFailures(line: Line, fields: UnsetFields, at: number): void {
  const countEnd = line.digitsEnd(at);
  if (countEnd === at) return;
  fields.failure();
  fields.metadata('auth.failures', at, countEnd);
  extractPamPairs(line, fields, countEnd);
}

/** `shell on pts/0 for NAME from ADDRESS port N id 0`. */
export function extractStartedSession(line: Line, fields: UnsetFields, at: number): void {
  const end = line.end;
  const name = line.findWord(FOR, at);
  const id = line.findLastWord(ID, at);
  if (name === -1) return;
  if (id > name) line.end = id;
  if (clause.readLast(line, name + FOR.length)) {
    fields.user(name + FOR.length, clause.userEnd);
    clause.write(fields);
  }
  line.end = end;
}

export function extractSubsystem(line: Line, fields: UnsetFields, at: number): void {
  const by = line.findWord(BY_USER, at);
  if (by !== -1) fields.user(by + BY_USER.length, line.end);
}

export function skipUserKind(line: Line, at: number): number {
  const first = line.at(at);
  if (first !== INVALID_USER[0] && first !== AUTHENTICATING_USER[0]) return at;
  if (line.has(at, INVALID_USER)) return at + INVALID_USER.length;
  if (line.has(at, AUTHENTICATING_USER)) return at + AUTHENTICATING_USER.length;
  if (line.has(at, ILLEGAL_USER)) return at + ILLEGAL_USER.length;
  return at;
}
