import { expect, test } from 'vitest';
import { eventOf } from '../../support/text-event.ts';

const TIME_US = Date.UTC(2026, 9, 11, 22, 14, 15) * 1000;

test('RFC 5424: all fields', () => {
  expect(
    eventOf(
      '<165>1 2026-10-11T22:14:15.003Z web.example evntslog 8710 ID47 [ex@1 iut="3" src="App"] \uFEFFAn event',
    ),
  ).toEqual({
    timestamp: TIME_US + 3000,
    severity: 10,
    host: 'web.example',
    process: 'evntslog',
    service: 'evntslog',
    pid: 8710,
    message: 'An event',
    metadata: {
      'syslog.facility': 'local4',
      'syslog.msgid': 'ID47',
      'ex@1.iut': '3',
      'ex@1.src': 'App',
    },
  });
});

test('RFC 5424: nil values are absent', () => {
  expect(eventOf('<0>1 - - - - - - hello')).toEqual({
    severity: 21,
    message: 'hello',
    metadata: { 'syslog.facility': 'kern' },
  });
});

const elements: readonly [string, string, Record<string, string>, string][] = [
  ['several elements', '[a x="1"][b x="2" y="3"] m', { 'a.x': '1', 'b.x': '2', 'b.y': '3' }, 'm'],
  ['escapes', String.raw`[a x="q\" b\\ r\] n\n"] m`, { 'a.x': String.raw`q" b\ r] n\n` }, 'm'],
  ['escape in one and a parameter after it', String.raw`[a x="\"" y="2"] m`, { 'a.x': '"', 'a.y': '2' }, 'm'],
  ['empty value and element', '[a x=""][b] m', { 'a.x': '' }, 'm'],
  ['first of a repeated parameter', '[a ip="1" ip="2"] m', { 'a.ip': '1' }, 'm'],
  ['bracket and space in a value', '[a x="] [b y=1"] m', { 'a.x': '] [b y=1' }, 'm'],
  ['no message', '[a x="1"]', { 'a.x': '1' }, ''],
  ['malformed element goes to the message', '[a x=1] m', {}, '[a x=1] m'],
  ['unclosed value goes to the message', '[a x="1 m', {}, '[a x="1 m'],
  ['unclosed element keeps what was read', '[a x="1" m', { 'a.x': '1' }, '[a x="1" m'],
  ['the name __proto__', '[__proto__ x="1"] m', { '__proto__.x': '1' }, 'm'],
  ['UTF-8 in a value', '[a x="grüße"] m', { 'a.x': 'grüße' }, 'm'],
  [
    'a long name and value',
    `[${'n'.repeat(300)} x="${'v'.repeat(900)}\\""] m`,
    { [`${'n'.repeat(300)}.x`]: `${'v'.repeat(900)}"` },
    'm',
  ],
];
test.each(elements)('structured data: %s', (...[, tail, metadata, message]) => {
  const event = eventOf(`<13>1 2026-10-11T22:14:15Z h app 1 - ${tail}`);
  expect(event.metadata).toEqual({ 'syslog.facility': 'user', ...metadata });
  expect(event['message']).toBe(message);
});

test('RFC 5424: a time that cannot be read is flagged, the rest is kept', () => {
  const event = eventOf('<13>1 2026-13-41T22:14:15Z h app x.7 - - m');
  expect(event).toMatchObject({ isTimeReplaced: true, host: 'h', process: 'app', message: 'm' });
  expect(event.metadata).toMatchObject({ 'syslog.procid': 'x.7' });
  expect(event['timestamp']).toBeUndefined();
});

test.each([
  '<13>1 - ',
  '<13>1 - h',
  '<13>1 - h app',
  '<13>1 - h app 1',
  '<13>1 - h app 1 -',
  '<13>1 - h app 1 - -',
])('RFC 5424: the cut line %s is an event with an empty message', (text) => {
  expect(eventOf(text)['message']).toBe('');
});

test('RFC 5424: a login is read from the message', () => {
  expect(
    eventOf('<38>1 2026-10-11T22:14:15Z h sshd 9 - - Failed password for bob from 192.0.2.7 port 4022 ssh2'),
  ).toMatchObject({ user: 'bob', sourceIp: '192.0.2.7', sourcePort: 4022, outcome: 'failure', pid: 9 });
});
