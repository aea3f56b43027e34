import { expect, test } from 'vitest';
import { IpField, TextField } from '../../../src/encode/event-row.ts';
import { extractSecurity } from '../../../src/parse/text/security.ts';
import { RecordingRow } from '../../support/recording-row.ts';
import { RECORD_TIME_US } from '../../support/text-event.ts';

type Found = Record<string, unknown>;

/** Extraction on ranges inside a larger buffer, as a JSON event calls it. */
function extract(program: string, message: string, row = new RecordingRow(RECORD_TIME_US)): RecordingRow {
  const bytes = Buffer.from(`"${program}"${message}"`);
  const programEnd = 1 + Buffer.byteLength(program);
  extractSecurity(row, bytes, programEnd + 1, bytes.length - 1, 1, programEnd);
  return row;
}

function found(program: string, message: string): Found {
  const { metadata, ...columns } = extract(program, message).event;
  return { ...columns, ...metadata };
}

const texts: readonly [string, string, Found][] = [
  [
    'sudo',
    '   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/bin/sh -c id ; true',
    {
      user: 'alice',
      outcome: 'success',
      'sudo.tty': 'pts/0',
      'sudo.pwd': '/home/alice',
      'sudo.target_user': 'root',
      'sudo.command': '/bin/sh -c id ; true',
    },
  ],
  [
    'sudo',
    'bob : 3 incorrect password attempts ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/ls',
    {
      user: 'bob',
      outcome: 'failure',
      'sudo.tty': 'pts/1',
      'sudo.pwd': '/',
      'sudo.target_user': 'root',
      'sudo.command': '/bin/ls',
    },
  ],
  [
    'sudo',
    'bob : user NOT in sudoers ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/ls',
    {
      user: 'bob',
      outcome: 'failure',
      'sudo.tty': 'pts/1',
      'sudo.pwd': '/',
      'sudo.target_user': 'root',
      'sudo.command': '/bin/ls',
    },
  ],
  ['sudo', 'bob : (command continued) --more', { user: 'bob', 'sudo.command': '--more' }],
  [
    'sudo',
    'pam_unix(sudo:auth): authentication failure; logname=bob uid=1000 euid=0 tty=/dev/pts/0 ruser=bob rhost=  user=bob',
    { user: 'bob', outcome: 'failure', 'pam.service': 'sudo', 'pam.type': 'auth', 'pam.ruser': 'bob' },
  ],
  [
    'sudo',
    'pam_unix(sudo:session): session opened for user root(uid=0) by bob(uid=1000)',
    { user: 'root', outcome: 'success', 'pam.service': 'sudo', 'pam.type': 'session', 'pam.by_user': 'bob' },
  ],
  ['su', '(to root) bob on pts/0', { user: 'bob', outcome: 'success', 'su.target_user': 'root' }],
  ['su', 'FAILED SU (to root) bob on pts/0', { user: 'bob', outcome: 'failure', 'su.target_user': 'root' }],
  ['su', 'Successful su for root by bob', { user: 'bob', outcome: 'success', 'su.target_user': 'root' }],
  ['su', 'FAILED su for root by bob', { user: 'bob', outcome: 'failure', 'su.target_user': 'root' }],
  ['su', '+ /dev/pts/0 bob:root', { user: 'bob', outcome: 'success', 'su.target_user': 'root' }],
  ['su', '- pts/0 bob-root', { user: 'bob', outcome: 'failure', 'su.target_user': 'root' }],
  [
    'su(pam_unix)',
    'session opened for user news by (uid=0)',
    { user: 'news', outcome: 'success', 'pam.service': 'su' },
  ],
  ['su(pam_unix)', 'session closed for user news', { user: 'news', 'pam.service': 'su' }],
  [
    'login(pam_unix)',
    'session opened for user root by LOGIN(uid=0)',
    { user: 'root', outcome: 'success', 'pam.service': 'login', 'pam.by_user': 'LOGIN' },
  ],
  [
    'sshd(pam_unix)',
    'authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=192.0.2.4 ',
    { sourceIp: '192.0.2.4', outcome: 'failure', 'pam.service': 'sshd' },
  ],
  [
    'vsftpd',
    'pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=eve rhost=::ffff:192.0.2.4',
    {
      sourceIp: '::ffff:192.0.2.4',
      outcome: 'failure',
      'pam.service': 'vsftpd',
      'pam.type': 'auth',
      'pam.ruser': 'eve',
    },
  ],
  [
    'vsftpd',
    'pam_unix(vsftpd:auth): authentication failure; logname= tty=ftp ruser=x rhost=198.51.100.1 rhost=192.0.2.4',
    { outcome: 'failure', 'pam.service': 'vsftpd', 'pam.type': 'auth' },
  ],
  [
    'passwd',
    'pam_unix(passwd:chauthtok): password changed for bob',
    { user: 'bob', outcome: 'success', 'pam.service': 'passwd', 'pam.type': 'chauthtok' },
  ],
  [
    'sshd',
    'pam_sss(sshd:auth): received for user bob: 7 (Authentication failure)',
    { user: 'bob', outcome: 'failure', 'pam.service': 'sshd', 'pam.type': 'auth' },
  ],
  [
    'sshd',
    'pam_succeed_if(sshd:auth): requirement "uid >= 1000" not met by user "root"',
    { user: 'root', outcome: 'failure', 'pam.service': 'sshd', 'pam.type': 'auth' },
  ],
  [
    'sshd',
    'pam_unix(sshd:account): account bob has expired (account expired)',
    { user: 'bob', outcome: 'failure', 'pam.service': 'sshd', 'pam.type': 'account' },
  ],
  [
    'sudo',
    'pam_unix(sudo:auth): auth could not identify password for [bob]',
    { user: 'bob', outcome: 'failure', 'pam.service': 'sudo', 'pam.type': 'auth' },
  ],
  ['login', 'LOGIN ON tty1 BY bob', { user: 'bob', outcome: 'success' }],
  [
    'login',
    'LOGIN ON pts/2 BY bob FROM 192.0.2.8',
    { user: 'bob', outcome: 'success', sourceIp: '192.0.2.8' },
  ],
  ['login', 'ROOT LOGIN ON tty2', { user: 'root', outcome: 'success' }],
  [
    'login',
    'FAILED LOGIN 1 FROM (null) FOR bob, Authentication failure',
    { user: 'bob', outcome: 'failure' },
  ],
  [
    'login',
    'FAILED LOGIN 2 FROM host.example FOR a, b, Authentication failure',
    { user: 'a, b', outcome: 'failure', 'source.domain': 'host.example' },
  ],
  [
    'login',
    "FAILED LOGIN (1) on '/dev/tty1' FOR 'UNKNOWN', Authentication failure",
    { user: 'UNKNOWN', outcome: 'failure' },
  ],
  [
    'useradd',
    'new user: name=bob, UID=1001, GID=1001, home=/home/bob, shell=/bin/sh',
    { user: 'bob', outcome: 'success', 'user.id': '1001' },
  ],
  ['useradd', "failed adding user 'bob', exit code: 9", { user: 'bob', outcome: 'failure' }],
  ['useradd', "add 'bob' to group 'sudo'", { user: 'bob', outcome: 'success', 'group.name': 'sudo' }],
  ['usermod', "change user 'bob' password", { user: 'bob', outcome: 'success' }],
  ['usermod', "change user `bob' GID from `1' to `2'", { user: 'bob', outcome: 'success' }],
  ['usermod', "lock user 'bob' password", { user: 'bob', outcome: 'success' }],
  ['userdel', "delete user 'bob'", { user: 'bob', outcome: 'success' }],
  ['userdel', "delete 'bob' from group 'sudo'", { user: 'bob', outcome: 'success', 'group.name': 'sudo' }],
  ['groupadd', 'new group: name=ops, GID=1002', { outcome: 'success', 'group.name': 'ops' }],
  ['groupadd', 'group added to /etc/group: name=ops, GID=1002', { outcome: 'success', 'group.name': 'ops' }],
  ['groupdel', "group 'ops' removed", { outcome: 'success', 'group.name': 'ops' }],
  ['passwd', 'password changed for bob', { user: 'bob', outcome: 'success' }],
  [
    'passwd',
    "password for 'bob' changed by 'root'",
    { user: 'bob', outcome: 'success', 'user.changed_by': 'root' },
  ],
  [
    'gpasswd',
    'user bob added by root to group sudo',
    { user: 'bob', outcome: 'success', 'user.changed_by': 'root', 'group.name': 'sudo' },
  ],
  [
    'CRON',
    '(root) CMD (   cd / && run-parts /etc/cron.hourly)',
    { user: 'root', 'cron.command': 'cd / && run-parts /etc/cron.hourly' },
  ],
  ['crond', '(CRON) INFO (Running @reboot jobs)', {}],
  ['cron', '(*system*) RELOAD (/etc/crontab)', {}],
  ['crontab', '(bob) REPLACE (bob)', { user: 'bob' }],
  ['systemd-logind', 'New session 42 of user bob.', { user: 'bob', outcome: 'success' }],
  [
    'ftpd',
    'connection from 192.0.2.4 (host.example) at Fri Jun 17 07:07:00 2005 ',
    { sourceIp: '192.0.2.4', 'source.domain': 'host.example' },
  ],
  ['ftpd', 'connection from 192.0.2.4 () at Fri Jun 17 07:07:00 2005', { sourceIp: '192.0.2.4' }],
  ['ftpd', 'ANONYMOUS FTP LOGIN FROM 192.0.2.4,  (anonymous)', { sourceIp: '192.0.2.4', outcome: 'success' }],
  [
    'klogind',
    'Authentication failed from 192.0.2.4 (192.0.2.4): Permission denied in replay cache code ',
    { sourceIp: '192.0.2.4', outcome: 'failure' },
  ],
  [
    '/usr/sbin/sshd',
    'Invalid user x from 192.0.2.4',
    { user: 'x', sourceIp: '192.0.2.4', outcome: 'failure' },
  ],
  [
    'sshd-session',
    'Invalid user x from 192.0.2.4 port 9',
    { user: 'x', sourceIp: '192.0.2.4', sourcePort: 9, outcome: 'failure' },
  ],
  ['nginx', 'Failed password for root from 192.0.2.4 port 9 ssh2', {}],
  ['', 'Failed password for root from 192.0.2.4 port 9 ssh2', {}],
  ['sshd', '', {}],
];
test.each(texts)('%s: %s', (program, message, expected) => {
  expect(found(program, message)).toEqual(expected);
});

test('what the event brought along is kept', () => {
  const row = new RecordingRow(RECORD_TIME_US);
  const own = Buffer.from('eve192.0.2.99unknown');
  row.text(TextField.user, own, { start: 0, end: 3 });
  row.ip(IpField.source, own, { start: 3, end: 13 });
  row.text(TextField.outcome, own, { start: 13, end: 20 });
  extract('sshd', 'Failed password for root from 192.0.2.4 port 9 ssh2', row);
  expect(row.event).toMatchObject({ user: 'eve', sourceIp: '192.0.2.99', outcome: 'unknown' });
});
