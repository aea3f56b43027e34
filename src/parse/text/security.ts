/* oxlint-disable max-params -- ranges of two texts at once, called per event: bench/parse-text.ts */
/**
 * Users, peers and outcomes from the messages of the programs that let people in: sshd, sudo, su, PAM, login,
 * account tools, cron. Called for text lines and for JSON events alike; sets only what is unset, never throws.
 * Metadata keys: `auth.method`, `auth.key`, `auth.failures`, `source.domain`, `pam.*`, `sudo.*`, `su.target_user`,
 * `cron.command`, `group.name`, `user.id`, `user.changed_by`, `repeated`.
 */
import type { EventRow } from '../../encode/event-row.ts';
import { extractAccountChange } from './accounts.ts';
import { Byte, Line, word } from './line.ts';
import { extractCron, extractFtpOrKerberos, extractLogin, extractLogind } from './logins.ts';
import { extractPamLine, extractPamText } from './pam.ts';
import { extractSu, extractSudo } from './privilege.ts';
import { extractSshd } from './sshd.ts';
import { UnsetFields } from './unset-fields.ts';

type Extract = (line: Line, fields: UnsetFields) => void;

const PROGRAMS: readonly (readonly [string, Extract])[] = [
  ['sshd', extractSshd],
  ['sshd-session', extractSshd],
  ['sshd-auth', extractSshd],
  ['sudo', extractSudo],
  ['su', extractSu],
  ['login', extractLogin],
  ['-- root', extractLogin],
  ['cron', extractCron],
  ['CRON', extractCron],
  ['crond', extractCron],
  ['CROND', extractCron],
  ['crontab', extractCron],
  ['ftpd', extractFtpOrKerberos],
  ['klogind', extractFtpOrKerberos],
  ['systemd-logind', extractLogind],
  ['useradd', extractAccountChange],
  ['adduser', extractAccountChange],
  ['usermod', extractAccountChange],
  ['userdel', extractAccountChange],
  ['groupadd', extractAccountChange],
  ['groupmod', extractAccountChange],
  ['groupdel', extractAccountChange],
  ['gpasswd', extractAccountChange],
  ['passwd', extractAccountChange],
  ['chpasswd', extractAccountChange],
  ['chage', extractAccountChange],
];

interface Program {
  readonly name: Uint8Array;
  readonly extract: Extract;
}

const PROGRAMS_BY_LENGTH: Program[][] = Array.from({ length: 16 }, () => []);
for (const [name, extract] of PROGRAMS) {
  PROGRAMS_BY_LENGTH[name.length]?.push({ name: word(name), extract });
}

const PAM = word('pam_');
const REPEATED = word('message repeated ');
const LAST_REPEATED = word('last message repeated ');
const TIMES_OPEN = word(' times: [ ');

const line = new Line();
const program = new Line();
let fields: UnsetFields | undefined;

/**
 * Reads the message `bytes[start, end)` of the program named by `bytes[programStart, programEnd)`: a bare name, a path
 * or the old `sshd(pam_unix)`. The bytes are only read during the call.
 */
export function extractSecurity(
  row: EventRow,
  bytes: Uint8Array,
  start: number,
  end: number,
  programStart: number,
  programEnd: number,
): void {
  line.reset(bytes, start, end);
  line.trimEnd();
  if (line.end <= line.start) return;
  const target = (fields ??= new UnsetFields(row, bytes));
  target.reset(row, bytes);
  unwrapRepeated(target);
  if (line.has(line.start, PAM) && extractPamLine(line, target)) return;
  program.reset(bytes, programStart, programEnd);
  if (program.at(programEnd - 1) === Byte.rightParen) {
    const open = program.find(Byte.leftParen, programStart);
    if (program.has(open + 1, PAM)) {
      target.metadata('pam.service', programStart, open);
      extractPamText(line, target);
      return;
    }
  }
  const slash = program.findLast(Byte.slash, programEnd);
  if (slash !== -1) program.start = slash + 1;
  const candidates = PROGRAMS_BY_LENGTH[program.end - program.start];
  if (candidates === undefined) return;
  for (const candidate of candidates) {
    if (program.has(program.start, candidate.name)) {
      candidate.extract(line, target);
      return;
    }
  }
}

/** `message repeated N times: [ TEXT]` of rsyslog, and the older form that quotes nothing. */
function unwrapRepeated(target: UnsetFields): void {
  const first = line.at(line.start);
  if (first !== REPEATED[0] && first !== LAST_REPEATED[0]) return;
  const isQuoting = line.has(line.start, REPEATED);
  if (!isQuoting && !line.has(line.start, LAST_REPEATED)) return;
  const count = line.start + (isQuoting ? REPEATED : LAST_REPEATED).length;
  const countEnd = line.digitsEnd(count);
  target.metadata('repeated', count, countEnd);
  if (!isQuoting || !line.has(countEnd, TIMES_OPEN)) return;
  line.start = countEnd + TIMES_OPEN.length;
  if (line.at(line.end - 1) === Byte.rightBracket) line.end--;
  line.trimEnd();
}
