import { expect, test } from 'vitest';
import { eventOf, fieldsOf } from '../../support/text-event.ts';

const TIME_US = Date.UTC(2026, 9, 10, 20, 55, 36) * 1000;
const TIME = '[10/Oct/2026:13:55:36 -0700]';

test('common log format', () => {
  const text = `192.0.2.1 - frank ${TIME} "GET /a.gif?x=1 HTTP/1.0" 200 2326`;
  expect(eventOf(text)).toEqual({
    timestamp: TIME_US,
    severity: 9,
    sourceIp: '192.0.2.1',
    user: 'frank',
    httpMethod: 'GET',
    httpPath: '/a.gif?x=1',
    httpStatus: 200,
    outcome: 'success',
    message: text,
    metadata: { 'http.version': '1.0', 'http.response.body.bytes': '2326' },
  });
});

test('combined log format', () => {
  const text = `2001:db8::1 - - ${TIME} "POST /login HTTP/2.0" 401 - "https://example.org/" "Mozilla/5.0 (\\"x\\")"`;
  expect(eventOf(text)).toEqual({
    timestamp: TIME_US,
    severity: 13,
    sourceIp: '2001:db8::1',
    httpMethod: 'POST',
    httpPath: '/login',
    httpStatus: 401,
    outcome: 'failure',
    message: text,
    metadata: {
      'http.version': '2.0',
      'http.request.referrer': 'https://example.org/',
      'user_agent.original': 'Mozilla/5.0 (\\"x\\")',
    },
  });
});

const cases: readonly [string, string, Record<string, unknown>][] = [
  [
    'a virtual host in front',
    `shop.example:443 192.0.2.1 - - ${TIME} "GET / HTTP/1.1" 503 0 "-" "-"`,
    {
      sourceIp: '192.0.2.1',
      severity: 17,
      metadata: { 'url.domain': 'shop.example', 'http.version': '1.1', 'http.response.body.bytes': '0' },
    },
  ],
  [
    'a host name as client',
    `client.example - - ${TIME} "GET / HTTP/1.1" 200 1`,
    { sourceIp: undefined, metadata: expect.objectContaining({ 'source.domain': 'client.example' }) },
  ],
  ['spaces in the target', `192.0.2.1 - - ${TIME} "GET /a b c HTTP/1.1" 404 1`, { httpPath: '/a b c' }],
  ['no protocol', `192.0.2.1 - - ${TIME} "GET /a" 200 1`, { httpMethod: 'GET', httpPath: '/a' }],
  [
    'no request',
    `192.0.2.1 - - ${TIME} "-" 408 -`,
    { httpMethod: undefined, httpStatus: 408, metadata: undefined },
  ],
  [
    'bytes that are no request',
    String.raw`192.0.2.1 - - ${TIME} "\x16\x03\x01" 400 226`,
    {
      httpMethod: undefined,
      metadata: { 'http.request': String.raw`\x16\x03\x01`, 'http.response.body.bytes': '226' },
    },
  ],
  ['a user with spaces', `192.0.2.1 - a b ${TIME} "GET / HTTP/1.1" 200 1`, { user: 'a b' }],
  [
    'a user that imitates a time',
    `192.0.2.1 - x [01/Jan/2000:00:00:00 +0000] ${TIME} "GET / HTTP/1.1" 200 1`,
    { timestamp: TIME_US, user: 'x [01/Jan/2000:00:00:00 +0000]' },
  ],
  [
    'further fields',
    `192.0.2.1 - - ${TIME} "GET / HTTP/1.1" 200 1 "-" "curl/8" "10.0.0.1" rt=0.1`,
    { httpStatus: 200 },
  ],
];
test.each(cases)('access log with %s', (_name, text, expected) => {
  expect(fieldsOf(eventOf(text), expected)).toEqual(expected);
});

test.each([
  `192.0.2.1 - - ${TIME} "GET / HTTP/1.1`,
  `192.0.2.1 - - ${TIME} "GET / HTTP/1.1" abc 1`,
  '192.0.2.1 - - [32/Oct/2026:13:55:36 -0700] "GET / HTTP/1.1" 200 1',
  '192.0.2.1 said "hello"',
])('%s is plain text', (text) => {
  expect(eventOf(text)).toEqual({ message: text });
});
