/**
 * Logins and jobs beside sshd: login, ftpd, Kerberos login, systemd-logind, cron.
 * Texts are those of util-linux, shadow, Red Hat's ftpd and klogind, Vixie cron and cronie.
 */
import { Byte, type Line, word } from './line.ts';
import { PeerClause } from './peer-clause.ts';
import type { UnsetFields } from './unset-fields.ts';

const clause = new PeerClause();

const ROOT_LOGIN = word('ROOT LOGIN');
const LOGIN_ON = word('LOGIN ON ');
const FAILED_LOGIN = word('FAILED LOGIN ');
const BY = word(' BY ');
const FROM = word(' FROM ');
const FOR = word(' FOR ');
const NULL_HOST = word('(null)');
const ROOT = word('root');

/** `LOGIN ON tty1 BY bob[ FROM host]`, `ROOT LOGIN ON tty2`, `FAILED LOGIN 1 FROM host FOR bob, Authentication failure`. */
export function extractLogin(line: Line, fields: UnsetFields): void {
  const at = line.start;
  if (line.has(at, ROOT_LOGIN)) {
    fields.success();
    fields.constantUser(ROOT);
    extractFrom(line, fields, at);
  } else if (line.has(at, LOGIN_ON)) {
    fields.success();
    const by = line.findWord(BY, at);
    if (by === -1) return;
    const from = line.findWord(FROM, by);
    fields.user(by + BY.length, from === -1 ? line.end : from);
    extractFrom(line, fields, by);
  } else if (line.has(at, FAILED_LOGIN)) {
    fields.failure();
    extractFailedLogin(line, fields, at + FAILED_LOGIN.length);
  }
}

function extractFailedLogin(line: Line, fields: UnsetFields, at: number): void {
  const name = line.findWord(FOR, at);
  if (name === -1) return;
  // The reason behind the last comma is the program's; the name before it was typed.
  const comma = line.findLast(Byte.comma, line.end);
  let start = name + FOR.length;
  let end = comma > start ? comma : line.end;
  if (line.at(start) === Byte.apostrophe && line.at(end - 1) === Byte.apostrophe && end - start > 1) {
    start++;
    end--;
  }
  fields.user(start, end);
  const from = line.findWord(FROM, at - 1);
  if (from !== -1 && from < name) extractFrom(line, fields, from);
}

function extractFrom(line: Line, fields: UnsetFields, at: number): void {
  const from = line.findWord(FROM, at);
  if (from === -1 || line.has(from + FROM.length, NULL_HOST)) return;
  if (clause.readAt(line, from + FROM.length)) clause.write(fields);
}

const CONNECTION_FROM = word('connection from ');
const ANONYMOUS_LOGIN = word('ANONYMOUS FTP LOGIN FROM ');
const FTP_LOGIN = word('FTP LOGIN FROM ');
const AUTHENTICATION_FAILED_FROM = word('Authentication failed from ');
const AUTHENTICATION_FAILED = word('Kerberos authentication failed');

/** `connection from ADDRESS (NAME) at …`, `ANONYMOUS FTP LOGIN FROM ADDRESS, NAME (…)`, `Authentication failed from ADDRESS (…): …`. */
export function extractFtpOrKerberos(line: Line, fields: UnsetFields): void {
  const at = line.start;
  if (line.has(at, CONNECTION_FROM)) {
    extractNamedPeer(line, fields, at + CONNECTION_FROM.length);
  } else if (line.has(at, ANONYMOUS_LOGIN)) {
    fields.success();
    extractNamedPeer(line, fields, at + ANONYMOUS_LOGIN.length);
  } else if (line.has(at, FTP_LOGIN)) {
    fields.success();
    extractNamedPeer(line, fields, at + FTP_LOGIN.length);
  } else if (line.has(at, AUTHENTICATION_FAILED_FROM)) {
    fields.failure();
    extractNamedPeer(line, fields, at + AUTHENTICATION_FAILED_FROM.length);
  } else if (line.has(at, AUTHENTICATION_FAILED)) {
    fields.failure();
  }
}

/** `ADDRESS (NAME)`. */
function extractNamedPeer(line: Line, fields: UnsetFields, at: number): void {
  if (!clause.readAt(line, at)) return;
  clause.write(fields);
  const open = clause.end + 1;
  if (line.at(open) !== Byte.leftParen) return;
  const close = line.find(Byte.rightParen, open);
  if (close === -1) return;
  fields.domain(open + 1, close);
}

const NEW_SESSION = word('New session ');
const OF_USER = word(' of user ');

/** `New session 5 of user bob.` of systemd-logind. */
export function extractLogind(line: Line, fields: UnsetFields): void {
  if (!line.has(line.start, NEW_SESSION)) return;
  const user = line.findWord(OF_USER, line.start);
  if (user === -1) return;
  fields.success();
  fields.user(user + OF_USER.length, line.at(line.end - 1) === Byte.dot ? line.end - 1 : line.end);
}

const COMMAND = word(' CMD (');
const CRON_ITSELF = word('CRON');

/** `(bob) CMD (command)`, `(bob) RELOAD (crontabs/bob)`; `(CRON)` and `(*system*)` are no users. */
export function extractCron(line: Line, fields: UnsetFields): void {
  const at = line.start;
  if (line.at(at) !== Byte.leftParen) return;
  const close = line.find(Byte.rightParen, at);
  if (close === -1) return;
  if (!line.is(at + 1, close, CRON_ITSELF) && line.at(at + 1) !== Byte.asterisk) fields.user(at + 1, close);
  if (!line.has(close + 1, COMMAND)) return;
  const end = line.at(line.end - 1) === Byte.rightParen ? line.end - 1 : line.end;
  fields.metadata('cron.command', line.skipSpaces(close + 1 + COMMAND.length), end);
}
