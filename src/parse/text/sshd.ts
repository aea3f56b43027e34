/**
 * What sshd says about logins and connections: user, peer, port, outcome, `auth.method`.
 * Texts are those of OpenSSH 3 to 10. Where a name that a client chose stands before the peer, the peer is read
 * backwards from the end of the line; where the line does not tell which of two clauses is sshd's, none is taken.
 */
import { Byte, type Line, word } from './line.ts';
import {
  extractDropped,
  extractLastPeer,
  extractMapping,
  extractPeer,
  extractPointer,
  extractReverseMapping,
  extractTimeout,
  extractUserOrPeer,
  extractUserOrPeerWithReason,
} from './sshd-connections.ts';
import {
  extractAccepted,
  extractAccessDenied,
  extractAttempt,
  extractFailed,
  extractInvalidUser,
  extractMaximumAttempts,
  extractMoreFailures,
  extractName,
  extractNotAllowed,
  extractPamError,
  extractStartedSession,
  extractSubsystem,
} from './sshd-logins.ts';
import type { UnsetFields } from './unset-fields.ts';

type Extract = (line: Line, fields: UnsetFields, at: number) => void;

const PREAUTH = word(' [preauth]');
const POSTAUTH = word(' [postauth]');
const LEVELS = [word('error: '), word('fatal: '), word('info: ')];
const LOWER_A = 0x61;

/** Reads one message of sshd; `line` holds it without its tag. */
export function extractSshd(line: Line, fields: UnsetFields): void {
  if (line.at(line.end - 1) === Byte.rightBracket) {
    if (line.has(line.end - PREAUTH.length, PREAUTH)) line.end -= PREAUTH.length;
    else if (line.has(line.end - POSTAUTH.length, POSTAUTH)) line.end -= POSTAUTH.length;
  }
  let at = line.start;
  if (line.at(at) >= LOWER_A) for (const level of LEVELS) if (line.has(at, level)) at += level.length;
  if (at >= line.end) return;
  const kinds = KINDS_BY_FIRST_BYTE[line.at(at)];
  if (kinds === undefined) return;
  for (const kind of kinds) {
    if (line.has(at, kind.prefix)) {
      kind.extract(line, fields, at + kind.prefix.length);
      return;
    }
  }
}

/** Prefixes of the texts; of two that share a beginning the longer one comes first. */
const KINDS: readonly (readonly [string, Extract])[] = [
  ['Failed ', extractFailed],
  ['Accepted ', extractAccepted],
  ['Postponed ', extractAttempt],
  ['Partial ', extractAttempt],
  ['Invalid user ', extractInvalidUser],
  ['Illegal user ', extractInvalidUser],
  ['Received disconnect from ', extractPeer],
  ['Disconnected from ', extractUserOrPeer],
  ['Disconnecting: Too many authentication failures for ', extractName],
  ['Disconnecting ', extractUserOrPeerWithReason],
  ['Connection closed by ', extractUserOrPeer],
  ['Connection reset by ', extractUserOrPeer],
  ['Connection from ', extractPeer],
  ['reverse mapping checking getaddrinfo for ', extractReverseMapping],
  ['Address ', extractMapping],
  ['Nasty PTR record "', extractPointer],
  ['input_userauth_request: invalid user ', extractName],
  ['input_userauth_request: illegal user ', extractName],
  ['Did not receive identification string from ', extractPeer],
  ['PAM: ', extractPamError],
  ['PAM ', extractMoreFailures],
  ['maximum authentication attempts exceeded for ', extractMaximumAttempts],
  ['Too many authentication failures for ', extractName],
  ['User ', extractNotAllowed],
  ['Access denied for user ', extractAccessDenied],
  ['Bad protocol version identification ', extractLastPeer],
  ['Protocol major versions differ for ', extractPeer],
  ['Unable to negotiate with ', extractPeer],
  ['banner exchange: Connection from ', extractPeer],
  ['ssh_dispatch_run_fatal: Connection from ', extractUserOrPeerWithReason],
  ['Timeout before authentication for ', extractTimeout],
  ['ROOT LOGIN REFUSED FROM ', extractPeer],
  ['Starting session: ', extractStartedSession],
  ['subsystem request for ', extractSubsystem],
  ['drop connection ', extractDropped],
];

interface Kind {
  readonly prefix: Uint8Array;
  readonly extract: Extract;
}

const KINDS_BY_FIRST_BYTE: (Kind[] | undefined)[] = [];
for (const [prefix, extract] of KINDS) {
  const bytes = word(prefix);
  const first = bytes[0] ?? 0;
  const bucket = KINDS_BY_FIRST_BYTE[first] ?? [];
  bucket.push({ prefix: bytes, extract });
  KINDS_BY_FIRST_BYTE[first] = bucket;
}
