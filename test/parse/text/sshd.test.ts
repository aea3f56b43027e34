import { describe, expect, test } from 'vitest';
import { eventOf, fieldsOf, RECORD_TIME_US } from '../../support/text-event.ts';

type Found = Record<string, unknown>;

/** What was found in an sshd message; columns that every line has are left out. */
function found(message: string): Found {
  const event = eventOf(`Nov 20 12:00:00 gate sshd[4242]: ${message}`, RECORD_TIME_US);
  const { user, sourceIp, sourcePort, outcome, metadata } = event;
  expect(event['message']).toBe(message);
  return Object.fromEntries(
    Object.entries({ user, ip: sourceIp, port: sourcePort, outcome, ...metadata }).filter(
      ([, value]) => value !== undefined,
    ),
  );
}

const IP = '203.0.113.9';

const texts: readonly [string, Found][] = [
  [
    `Accepted password for carol from ${IP} port 49116 ssh2`,
    { user: 'carol', ip: IP, port: 49116, outcome: 'success', 'auth.method': 'password' },
  ],
  [
    `Accepted publickey for git from 2001:db8::7 port 50000 ssh2: ED25519 SHA256:abcDEF`,
    {
      user: 'git',
      ip: '2001:db8::7',
      port: 50000,
      outcome: 'success',
      'auth.method': 'publickey',
      'auth.key': 'ED25519 SHA256:abcDEF',
    },
  ],
  [
    `Accepted keyboard-interactive/pam for bob from fe80::1%eth0 port 22 ssh2`,
    { user: 'bob', ip: 'fe80::1', port: 22, outcome: 'success', 'auth.method': 'keyboard-interactive/pam' },
  ],
  ['Accepted key ED25519 SHA256:abc found at /home/bob/.ssh/authorized_keys:1', {}],
  [
    `Failed password for root from ${IP} port 42393 ssh2`,
    { user: 'root', ip: IP, port: 42393, outcome: 'failure', 'auth.method': 'password' },
  ],
  [
    `Failed password for invalid user admin from ${IP} port 1 ssh2`,
    { user: 'admin', ip: IP, port: 1, outcome: 'failure', 'auth.method': 'password' },
  ],
  [
    `Failed none for illegal user admin from ${IP} port 65535 ssh2`,
    { user: 'admin', ip: IP, port: 65535, outcome: 'failure', 'auth.method': 'none' },
  ],
  [
    `Failed password for user from ${IP} port 7 ssh2`,
    { user: 'user', ip: IP, port: 7, outcome: 'failure', 'auth.method': 'password' },
  ],
  [
    `Postponed publickey for bob from ${IP} port 7 ssh2 [preauth]`,
    { user: 'bob', ip: IP, port: 7, 'auth.method': 'publickey' },
  ],
  ['Failed to release session: Interrupted system call', {}],
  [`Invalid user webmaster from ${IP}`, { user: 'webmaster', ip: IP, outcome: 'failure' }],
  [
    `Invalid user webmaster from ${IP} port 4711`,
    { user: 'webmaster', ip: IP, port: 4711, outcome: 'failure' },
  ],
  [`Invalid user  0101 from ${IP}`, { user: ' 0101', ip: IP, outcome: 'failure' }],
  [`Invalid user  from ${IP} port 4711`, { ip: IP, port: 4711, outcome: 'failure' }],
  ['input_userauth_request: invalid user test [preauth]', { user: 'test', outcome: 'failure' }],
  [`Received disconnect from ${IP}: 11: Bye Bye [preauth]`, { ip: IP }],
  [`Received disconnect from ${IP} port 4711:11: disconnected by user`, { ip: IP, port: 4711 }],
  [`error: Received disconnect from ${IP}: 3: Auth fail [preauth]`, { ip: IP }],
  [`Received disconnect from 2001:db8::1: 11: Bye`, { ip: '2001:db8::1' }],
  [`Disconnected from ${IP} port 4711 [preauth]`, { ip: IP, port: 4711 }],
  [`Disconnected from user bob ${IP} port 4711`, { user: 'bob', ip: IP, port: 4711 }],
  [`Disconnected from invalid user a b ${IP} port 4711 [preauth]`, { user: 'a b', ip: IP, port: 4711 }],
  [`Connection closed by ${IP} [preauth]`, { ip: IP }],
  [`Connection closed by ${IP} port 4711 [preauth]`, { ip: IP, port: 4711 }],
  [
    `Connection closed by authenticating user root ${IP} port 4711 [preauth]`,
    { user: 'root', ip: IP, port: 4711 },
  ],
  [`Connection reset by invalid user  ${IP} port 4711 [preauth]`, { ip: IP, port: 4711 }],
  [`Connection from ${IP} port 4711 on 10.0.0.1 port 22`, { ip: IP, port: 4711 }],
  [`Did not receive identification string from ${IP}`, { ip: IP }],
  ['Did not receive identification string from UNKNOWN port 65535', { port: 65535 }],
  [
    `reverse mapping checking getaddrinfo for host-9.example.net [${IP}] failed - POSSIBLE BREAK-IN ATTEMPT!`,
    { ip: IP, 'source.domain': 'host-9.example.net' },
  ],
  [
    `Address ${IP} maps to host.example, but this does not map back to the address - POSSIBLE BREAK-IN ATTEMPT!`,
    { ip: IP, 'source.domain': 'host.example' },
  ],
  [`Nasty PTR record "1.2.3.4" is set up for ${IP}, ignoring`, { ip: IP }],
  [
    'Disconnecting: Too many authentication failures for admin [preauth]',
    { user: 'admin', outcome: 'failure' },
  ],
  [
    `Disconnecting authenticating user root ${IP} port 4711: Too many authentication failures [preauth]`,
    { user: 'root', ip: IP, port: 4711, outcome: 'failure' },
  ],
  [
    `error: maximum authentication attempts exceeded for invalid user x from ${IP} port 9 ssh2 [preauth]`,
    { user: 'x', ip: IP, port: 9, outcome: 'failure' },
  ],
  [
    `error: PAM: Authentication failure for illegal user bob from ${IP}`,
    { user: 'bob', ip: IP, outcome: 'failure' },
  ],
  [
    'error: PAM: User not known to the underlying authentication module for bob from host.example',
    { user: 'bob', 'source.domain': 'host.example', outcome: 'failure' },
  ],
  [
    `PAM 4 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=${IP}  user=root`,
    { user: 'root', ip: IP, outcome: 'failure', 'auth.failures': '4' },
  ],
  ['PAM service(sshd) ignoring max retries; 6 > 3', {}],
  [
    'pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=host.example  user=root',
    {
      user: 'root',
      'source.domain': 'host.example',
      outcome: 'failure',
      'pam.service': 'sshd',
      'pam.type': 'auth',
    },
  ],
  [
    'pam_unix(sshd:auth): check pass; user unknown',
    { outcome: 'failure', 'pam.service': 'sshd', 'pam.type': 'auth' },
  ],
  [
    `User bob from ${IP} not allowed because not listed in AllowUsers`,
    { user: 'bob', ip: IP, outcome: 'failure' },
  ],
  ['User bob not allowed because account is locked', { user: 'bob', outcome: 'failure' }],
  ['User child is on pid 4711', {}],
  [
    'fatal: Access denied for user bob by PAM account configuration [preauth]',
    { user: 'bob', outcome: 'failure' },
  ],
  ['fatal: Write failed: Connection reset by peer [preauth]', {}],
  [`fatal: Timeout before authentication for ${IP} port 7`, { ip: IP, port: 7 }],
  [`Timeout before authentication for connection from ${IP} to 10.0.0.1, pid = 77`, { ip: IP }],
  [`Bad protocol version identification 'GET / HTTP/1.1' from ${IP} port 4711`, { ip: IP, port: 4711 }],
  [`Bad protocol version identification '\\003' from ${IP}`, { ip: IP }],
  [
    `Unable to negotiate with ${IP} port 7: no matching cipher found. Their offer: x [preauth]`,
    { ip: IP, port: 7 },
  ],
  [`banner exchange: Connection from ${IP} port 7: invalid format`, { ip: IP, port: 7 }],
  [
    `ssh_dispatch_run_fatal: Connection from authenticating user bob ${IP} port 7: Broken pipe [preauth]`,
    { user: 'bob', ip: IP, port: 7 },
  ],
  [`Starting session: shell on pts/0 for bob from ${IP} port 7 id 0`, { user: 'bob', ip: IP, port: 7 }],
  ['subsystem request for sftp by user bob', { user: 'bob' }],
  [`drop connection #11 from [${IP}]:4711 on [10.0.0.1]:22 past MaxStartups`, { ip: IP, port: 4711 }],
  [
    `message repeated 5 times: [ Failed password for root from ${IP} port 42393 ssh2]`,
    { user: 'root', ip: IP, port: 42393, outcome: 'failure', 'auth.method': 'password', repeated: '5' },
  ],
  ['Server listening on 0.0.0.0 port 22.', {}],
  ['Received signal 15; terminating.', {}],
];
test.each(texts)('%s', (message, expected) => {
  expect(found(message)).toEqual(expected);
});

describe('text that a client chose cannot forge the address', () => {
  const forged: readonly [string, Found][] = [
    [
      `Failed password for invalid user from 198.51.100.1 from ${IP} port 22 ssh2`,
      { user: 'from 198.51.100.1', ip: IP, port: 22 },
    ],
    [
      `Failed password for invalid user root from 198.51.100.1 port 1 ssh2 from ${IP} port 22 ssh2`,
      { user: 'root from 198.51.100.1 port 1 ssh2', ip: IP, port: 22 },
    ],
    [
      `Failed password for invalid user x from 198.51.100.1 port 1 ssh2: y from ${IP} port 22 ssh2: z`,
      { ip: IP, port: 22 },
    ],
    [
      `Invalid user a from 198.51.100.1 port 5 from ${IP} port 22`,
      { user: 'a from 198.51.100.1 port 5', ip: IP, port: 22 },
    ],
    [`Invalid user "'][ from ${IP}`, { user: `"'][`, ip: IP }],
    [
      `Failed publickey for root from ${IP} port 22 ssh2: RSA-CERT ID x from 198.51.100.1 port 1 ssh2: (serial 0) CA RSA SHA256:a`,
      { user: 'root', ip: IP, port: 22 },
    ],
    [`Connection closed by invalid user 198.51.100.1 port 1 ${IP} port 22 [preauth]`, { ip: IP, port: 22 }],
    [
      `Disconnecting invalid user x 198.51.100.1 port 1: Too many authentication failures ${IP} port 22: Too many authentication failures [preauth]`,
      { ip: IP, port: 22 },
    ],
    [
      `Disconnecting invalid user x 198.51.100.1 port 1: y ${IP} port 22: Change of username or service not allowed: (x 198.51.100.1 port 1: y,ssh-connection) -> (z,ssh-connection)`,
      { ip: undefined, port: undefined },
    ],
    [
      `Bad protocol version identification 'x from 198.51.100.1 port 1' from ${IP} port 22`,
      { ip: IP, port: 22 },
    ],
    [
      `pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=${IP} user=x rhost=198.51.100.1 user=y`,
      { ip: IP, user: 'x rhost=198.51.100.1 user=y' },
    ],
    [
      `reverse mapping checking getaddrinfo for x [198.51.100.1] failed - y [${IP}] failed - POSSIBLE BREAK-IN ATTEMPT!`,
      { ip: IP },
    ],
  ];
  test.each(forged)('%s', (message, expected) => {
    expect(fieldsOf(found(message), expected)).toEqual(expected);
  });
});
