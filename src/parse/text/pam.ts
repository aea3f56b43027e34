/**
 * PAM lines of any program: `pam_unix(sshd:auth): authentication failure; … rhost=192.0.2.1  user=root`.
 * Old systems put the module into the tag instead (`sshd(pam_unix)[123]: session opened for user …`); the caller
 * then hands in the bare text. The peer is the `rhost=` behind an empty `ruser=`, or the only one.
 */
import { Byte, type Line, word } from './line.ts';
import type { UnsetFields } from './unset-fields.ts';

const AUTHENTICATION_FAILURE = word('authentication failure; ');
const AUTHENTICATION_SUCCESS = word('authentication success; ');
const CHECK_PASS = word('check pass; user unknown');
const SESSION_OPENED = word('session opened for user ');
const SESSION_CLOSED = word('session closed for user ');
const REQUIREMENT = word('requirement "');
const NOT_MET_BY = word(' not met by user "');
const BY = word(' by ');
const UID = word('(uid=');
const RHOST = word(' rhost=');
const USER = word(' user=');
const RUSER = word(' ruser=');

interface RareText {
  readonly prefix: Uint8Array;
  /** What follows the user name; absent: the name ends the line. */
  readonly until: Uint8Array | undefined;
  readonly isFailure: boolean;
}

const RARE_TEXTS: readonly RareText[] = [
  { prefix: word('password changed for '), until: undefined, isFailure: false },
  { prefix: word('received for user '), until: word(': '), isFailure: true },
  { prefix: word('auth could not identify password for ['), until: word(']'), isFailure: true },
  { prefix: word('Consecutive login failures for user '), until: word(' account '), isFailure: true },
  { prefix: word('account '), until: word(' has expired'), isFailure: true },
  { prefix: word('expired password for user '), until: word(' ('), isFailure: true },
];

/** `pam_NAME(SERVICE:TYPE): TEXT` at the start of the line; false when it is anything else. */
export function extractPamLine(line: Line, fields: UnsetFields): boolean {
  const open = line.find(Byte.leftParen, line.start);
  if (open === -1) return false;
  const close = line.find(Byte.rightParen, open);
  if (close === -1 || line.at(close + 1) !== Byte.colon) return false;
  const colon = line.find(Byte.colon, open);
  const serviceEnd = colon < close ? colon : close;
  fields.metadata('pam.service', open + 1, serviceEnd);
  if (serviceEnd < close) fields.metadata('pam.type', serviceEnd + 1, close);
  line.start = line.skipSpaces(close + 2);
  extractPamText(line, fields);
  return true;
}

/** The text behind the module's name. */
export function extractPamText(line: Line, fields: UnsetFields): void {
  const at = line.start;
  if (line.has(at, AUTHENTICATION_FAILURE)) {
    fields.failure();
    extractPamPairs(line, fields, at + AUTHENTICATION_FAILURE.length);
  } else if (line.has(at, CHECK_PASS)) {
    fields.failure();
  } else if (line.has(at, SESSION_OPENED)) {
    fields.success();
    extractSession(line, fields, at + SESSION_OPENED.length);
  } else if (line.has(at, SESSION_CLOSED)) {
    extractSession(line, fields, at + SESSION_CLOSED.length);
  } else if (line.has(at, AUTHENTICATION_SUCCESS)) {
    fields.success();
    extractPamPairs(line, fields, at + AUTHENTICATION_SUCCESS.length);
  } else {
    extractRareText(line, fields, at);
  }
}

/** `logname= uid=0 euid=0 tty=ssh ruser= rhost=HOST  user=NAME` behind `from`. */
export function extractPamPairs(line: Line, fields: UnsetFields, from: number): void {
  const ruser = line.findWord(RUSER, from);
  const ruserStart = ruser === -1 ? from : ruser + RUSER.length;
  const rhost = line.findWord(RHOST, ruserStart);
  if (rhost === -1) return;
  // A server that passes on the name a client gave as ruser lets it imitate a second rhost.
  if (rhost > ruserStart && line.findWord(RHOST, rhost + 1) !== -1) return;
  const rhostStart = rhost + RHOST.length;
  const rhostEnd = line.tokenEnd(rhostStart);
  fields.peer(rhostStart, rhostEnd);
  if (ruser !== -1) fields.metadata('pam.ruser', ruserStart, rhost);
  const user = line.findWord(USER, rhostEnd);
  if (user !== -1) fields.user(user + USER.length, line.end);
}

/** `NAME[(uid=N)][ by [NAME](uid=N)]` at `at`. */
function extractSession(line: Line, fields: UnsetFields, at: number): void {
  const by = line.findWord(BY, at);
  const end = by === -1 ? line.end : by;
  const uid = line.findWord(UID, at);
  fields.user(at, uid !== -1 && uid < end ? uid : end);
  if (by === -1) return;
  const byStart = by + BY.length;
  const byUid = line.findWord(UID, byStart);
  fields.metadata('pam.by_user', byStart, byUid === -1 ? line.end : byUid);
}

function extractRareText(line: Line, fields: UnsetFields, at: number): void {
  for (const text of RARE_TEXTS) {
    if (!line.has(at, text.prefix)) continue;
    const start = at + text.prefix.length;
    // The last one: the name before it may contain anything.
    const end = text.until === undefined ? line.end : line.findLastWord(text.until, start);
    if (end === -1) return;
    if (text.isFailure) fields.failure();
    else fields.success();
    fields.user(start, end);
    return;
  }
  if (!line.has(at, REQUIREMENT)) return;
  const user = line.findLastWord(NOT_MET_BY, at);
  if (user === -1) return;
  fields.failure();
  fields.user(user + NOT_MET_BY.length, line.end - 1);
}
