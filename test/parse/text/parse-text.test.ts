import { describe, expect, test } from 'vitest';
import { RecordingRow } from '../../support/recording-row.ts';
import { eventOf, fieldsOf, parseInto, RECORD_TIME_US } from '../../support/text-event.ts';

function us(iso: string): number {
  return Date.parse(iso) * 1000;
}

describe('RFC 3164 lines', () => {
  const cases: readonly [string, string, Record<string, unknown>][] = [
    [
      'with priority',
      "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
      {
        timestamp: us('2026-10-11T22:14:15Z'),
        severity: 18,
        host: 'mymachine',
        process: 'su',
        service: 'su',
        message: "'su root' failed for lonvick on /dev/pts/8",
        metadata: { 'syslog.facility': 'auth' },
      },
    ],
    [
      'without priority, day of one digit, pid',
      'Nov  1 09:00:00 web-01 nginx[812]: started',
      {
        timestamp: us('2026-11-01T09:00:00Z'),
        host: 'web-01',
        process: 'nginx',
        service: 'nginx',
        pid: 812,
        message: 'started',
      },
    ],
    [
      'a module in the tag',
      'Jun 14 15:16:01 combo gdm(pam_unix)[19939]: bye',
      {
        timestamp: us('2026-06-14T15:16:01Z'),
        host: 'combo',
        process: 'gdm',
        service: 'gdm',
        pid: 19939,
        message: 'bye',
        metadata: { 'syslog.module': 'pam_unix', 'pam.service': 'gdm' },
      },
    ],
    [
      'kernel without pid keeps further spaces of the message',
      'Jun 14 15:16:01 combo kernel:  BIOS-e820: 0000 (usable)',
      { host: 'combo', process: 'kernel', message: ' BIOS-e820: 0000 (usable)' },
    ],
    [
      'a stamp behind the tag without a space',
      'Jun 14 15:16:01 combo kernel:[    1.25] usb 1-1: new device',
      { host: 'combo', process: 'kernel', message: '[    1.25] usb 1-1: new device' },
    ],
    ['no tag at all', 'Jun 14 15:16:01 combo went to sleep', { host: 'combo', message: 'went to sleep' }],
    [
      'repetition notice',
      'Jun 14 15:16:01 combo last message repeated 3 times',
      { host: 'combo', message: 'last message repeated 3 times', metadata: { repeated: '3' } },
    ],
    ['no host', 'Jun 14 15:16:01 cron[7]: up', { process: 'cron', pid: 7, message: 'up' }],
    [
      'a version in the tag',
      'Jun 19 04:09:11 combo syslogd 1.4.1: restart.',
      { host: 'combo', process: 'syslogd', message: 'restart.', metadata: { 'syslog.tag': 'syslogd 1.4.1' } },
    ],
    [
      'the tag that login writes',
      'Jul  7 08:06:15 combo  -- root[2421]: ROOT LOGIN ON tty2',
      {
        host: 'combo',
        pid: 2421,
        user: 'root',
        outcome: 'success',
        message: 'ROOT LOGIN ON tty2',
        metadata: { 'syslog.tag': '-- root[2421]' },
      },
    ],
    [
      'a process id that is no number',
      '<40>Nov 20 12:00:00 d.0 app[web.1]: ready',
      {
        host: 'd.0',
        process: 'app',
        severity: 21,
        message: 'ready',
        metadata: { 'syslog.facility': 'syslog', 'syslog.procid': 'web.1' },
      },
    ],
    [
      'a path as tag',
      'Nov 20 12:00:00 db1 /usr/sbin/cron[9]: hello',
      { process: 'cron', pid: 9, metadata: { 'syslog.tag': '/usr/sbin/cron[9]' } },
    ],
    ['a slash inside the tag', 'Nov 20 12:00:00 mx postfix/smtpd[9]: hi', { process: 'postfix/smtpd' }],
    ['pid without colon', 'Nov 20 12:00:00 mx tool[9] hi', { process: 'tool', pid: 9, message: 'hi' }],
    [
      'year before the clock, host-less',
      '<166>Nov 20 2025 12:00:00: %ASA-6-302013: Built inbound TCP',
      {
        timestamp: us('2025-11-20T12:00:00Z'),
        process: '%ASA-6-302013',
        message: 'Built inbound TCP',
        severity: 9,
      },
    ],
    [
      'year behind the clock',
      'Nov 20 12:00:00 2025 fw1 pf: block',
      { timestamp: us('2025-11-20T12:00:00Z'), host: 'fw1', process: 'pf' },
    ],
    [
      'fraction of a second and an unsynchronised clock',
      '<189>*Nov 20 12:00:00.123: %SYS-5-CONFIG_I: Configured',
      { timestamp: us('2026-11-20T12:00:00.123Z'), process: '%SYS-5-CONFIG_I', severity: 10 },
    ],
    ['a year ago', 'Dec 31 23:59:59 h t: m', { timestamp: us('2025-12-31T23:59:59Z') }],
    [
      'a day that never is',
      'Feb 30 10:00:00 h t: m',
      { timestamp: undefined, isTimeReplaced: true, host: 'h', message: 'm' },
    ],
    [
      'priority only',
      '<13>tool[5]: no time here',
      { process: 'tool', pid: 5, severity: 10, message: 'no time here', host: undefined },
    ],
    [
      'priority and free text',
      '<13>no time here',
      { message: 'no time here', severity: 10, process: undefined },
    ],
    [
      'priority and ISO time',
      '<30>2026-11-21T09:00:00.5+01:00 web systemd[1]: Started.',
      { timestamp: us('2026-11-21T08:00:00.5Z'), host: 'web', process: 'systemd', pid: 1 },
    ],
    [
      'a pid past 32 bits',
      'Nov 20 12:00:00 h t[4294967296]: m',
      { metadata: { 'syslog.procid': '4294967296' } },
    ],
    ['nothing behind the tag', 'Nov 20 12:00:00 h t:', { process: 't', message: '' }],
  ];
  test.each(cases)('%s', (_name, text, expected) => {
    expect(fieldsOf(eventOf(text), expected)).toEqual(expected);
  });
});

describe('lines that begin with an ISO time', () => {
  test('syslog as rsyslog and journald write it', () => {
    expect(eventOf('2026-11-21T09:00:00.123456+00:00 web-01 app[77]: ready')).toEqual({
      timestamp: us('2026-11-21T09:00:00.123Z') + 456,
      host: 'web-01',
      process: 'app',
      service: 'app',
      pid: 77,
      message: 'ready',
    });
  });

  test.each([
    ['2026-11-21T09:00:00Z ERROR cannot open file', 17],
    ['2026-11-21 09:00:00,000 [WARN] main: slow', 13],
    ['2026-11-21T09:00:00Z info: started', 9],
  ])('application log %s keeps its line, time and level', (text, severity) => {
    expect(eventOf(text)).toEqual({ timestamp: us('2026-11-21T09:00:00Z'), severity, message: text });
  });

  test('free text behind the time is no syslog', () => {
    const text = '2026-11-21T09:00:00Z starting the server now';
    expect(eventOf(text)).toEqual({ timestamp: us('2026-11-21T09:00:00Z'), message: text });
  });
});

describe('plain text', () => {
  test.each([
    'something happened',
    '<script>alert(1)</script>',
    '<192>too high a priority',
    '<013>leading zero',
    '<',
    '2026',
    'Nov',
    'Nov 20',
    'Nov 20 25:00:00 h t: m',
    'May the force be with you',
    '12:00:00 up 3 days',
    '"quoted"',
    '-',
    '    indented: stays',
    'x'.repeat(1_000_000),
  ])('%.40s', (text) => {
    expect(eventOf(text)).toEqual({ message: text });
  });

  test('line ends are trimmed, other control characters and NUL kept', () => {
    expect(eventOf('a\u0000b\u0007c \t\r\n')['message']).toBe('a\u0000b\u0007c \t');
  });

  test('a byte order mark is passed over', () => {
    expect(eventOf('\uFEFFNov 20 12:00:00 h t: m')['host']).toBe('h');
  });

  test.each(['', ' ', '\r\n', ' \t \n', '\uFEFF'])('blank %j is no event', (text) => {
    expect(parseInto(new RecordingRow(RECORD_TIME_US), text)).toBe('blank');
  });

  test('invalid UTF-8 is replaced and flagged', () => {
    const text = Buffer.from([0x61, 0xff, 0x62, 0xe2, 0x82, 0x63, 0xc3, 0xa9]);
    expect(eventOf(text)).toEqual({ message: 'a\uFFFDb\uFFFDcé', isTextRepaired: true });
  });

  test('valid UTF-8 stays as it is', () => {
    expect(eventOf('grüße 🌍 日本')).toEqual({ message: 'grüße 🌍 日本' });
  });
});
