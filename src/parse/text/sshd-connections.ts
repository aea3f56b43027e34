/**
 * Lines of sshd about connections: the peer, and the user when the line names one. Where a line does not tell
 * which of two clauses is sshd's own, none is taken.
 */
import { Byte, type Line, word } from './line.ts';
import { PeerClause } from './peer-clause.ts';
import { skipUserKind } from './sshd-logins.ts';
import type { UnsetFields } from './unset-fields.ts';

const clause = new PeerClause();

const FROM = word(' from ');
const PORT = word(' port ');
const FAILED_SUFFIX = word('] failed');
const MAPS_TO = word(' maps to ');
const SET_UP_FOR = word('" is set up for ');
const CONNECTION_FROM = word('connection from ');
const TOO_MANY_FAILURES = word('Too many authentication failures');
const PLAIN_USER = word('user ');

/** A peer directly behind the prefix. */
export function extractPeer(line: Line, fields: UnsetFields, at: number): void {
  if (clause.readAt(line, at)) clause.write(fields);
}

/** A peer as the last thing of the line, ` from ` before it. */
export function extractLastPeer(line: Line, fields: UnsetFields, at: number): void {
  if (clause.readLast(line, at)) clause.write(fields);
}

/** `ADDRESS[ port N]` or `authenticating user NAME ADDRESS port N` up to the end of the line. */
export function extractUserOrPeer(line: Line, fields: UnsetFields, at: number): void {
  // Only here: elsewhere `user` may be the name of an account.
  const nameStart = line.has(at, PLAIN_USER) ? at + PLAIN_USER.length : skipUserKind(line, at);
  if (nameStart === at) {
    extractPeer(line, fields, at);
  } else if (clause.readLastBare(line, nameStart)) {
    fields.user(nameStart, clause.userEnd);
    clause.write(fields);
  }
}

/** As above with `: REASON` behind the port; the reason may quote the name, so only an unmistakable clause counts. */
export function extractUserOrPeerWithReason(line: Line, fields: UnsetFields, at: number): void {
  const end = line.end;
  const isFixedReason = line.has(end - TOO_MANY_FAILURES.length, TOO_MANY_FAILURES);
  if (isFixedReason) fields.failure();
  let clauseEnd = -1;
  let clauseCount = 0;
  for (let port = line.findWord(PORT, at); port !== -1; port = line.findWord(PORT, port + 1)) {
    const digitsEnd = line.digitsEnd(port + PORT.length);
    if (digitsEnd === port + PORT.length || line.at(digitsEnd) !== Byte.colon) continue;
    clauseEnd = digitsEnd;
    clauseCount++;
  }
  if (clauseCount === 0 || (clauseCount > 1 && !isFixedReason)) return;
  line.end = clauseEnd;
  extractUserOrPeer(line, fields, at);
  line.end = end;
}

export function extractTimeout(line: Line, fields: UnsetFields, at: number): void {
  extractPeer(line, fields, line.has(at, CONNECTION_FROM) ? at + CONNECTION_FROM.length : at);
}

/** `NAME [ADDRESS] failed - POSSIBLE BREAK-IN ATTEMPT!`; whoever owns the address chose the name. */
export function extractReverseMapping(line: Line, fields: UnsetFields, at: number): void {
  const close = line.findLastWord(FAILED_SUFFIX, at);
  const open = line.findLast(Byte.leftBracket, close);
  if (close === -1 || open < at) return;
  fields.peer(open + 1, close);
  fields.domain(at, open - 1);
}

/** `ADDRESS maps to NAME, but this does not map back to the address`. */
export function extractMapping(line: Line, fields: UnsetFields, at: number): void {
  const addressEnd = line.tokenEnd(at);
  if (!line.has(addressEnd, MAPS_TO)) return;
  fields.peer(at, addressEnd);
  const nameStart = addressEnd + MAPS_TO.length;
  const comma = line.find(Byte.comma, nameStart);
  if (comma !== -1) fields.domain(nameStart, comma);
}

/** `NAME" is set up for ADDRESS, ignoring`. */
export function extractPointer(line: Line, fields: UnsetFields, at: number): void {
  const end = line.findLastWord(SET_UP_FOR, at);
  if (end === -1) return;
  extractPeer(line, fields, end + SET_UP_FOR.length);
  fields.domain(at, end);
}

/** `drop connection #11 from [ADDRESS]:PORT on [ADDRESS]:22 past MaxStartups`. */
export function extractDropped(line: Line, fields: UnsetFields, at: number): void {
  const open = line.findWord(FROM, at) + FROM.length;
  const close = line.find(Byte.rightBracket, open);
  if (open < at || close === -1 || line.at(open) !== Byte.leftBracket) return;
  fields.peer(open + 1, close);
  if (line.at(close + 1) === Byte.colon) fields.port(line.uint(close + 2, line.digitsEnd(close + 2)));
}
