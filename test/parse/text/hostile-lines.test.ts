/** Whatever stands in a line: no exception, no read past its ends, and nothing in the event that was not in the line. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventBlock } from '../../../src/encode/event-block.ts';
import { parseText } from '../../../src/parse/text/parse-text.ts';
import { RecordingRow } from '../../support/recording-row.ts';
import { eventOf, RECORD_TIME_US } from '../../support/text-event.ts';

const TIME = 'Nov 20 12:00:00';
const SEEDS = [
  `<38>${TIME} gate sshd[42]: Failed password for invalid user bob from 192.0.2.7 port 4022 ssh2`,
  `${TIME} gate sshd[42]: Accepted publickey for git from 192.0.2.7 port 4022 ssh2: RSA SHA256:abc`,
  `${TIME} gate sshd[42]: message repeated 5 times: [ Failed password for root from 192.0.2.7 port 4 ssh2]`,
  `${TIME} gate sshd[42]: Disconnecting invalid user a 192.0.2.7 port 4: Too many authentication failures [preauth]`,
  `${TIME} gate sshd[42]: reverse mapping checking getaddrinfo for x.example [192.0.2.7] failed - POSSIBLE`,
  `${TIME} gate sshd[42]: User bob from 192.0.2.7 not allowed because not listed in AllowUsers`,
  `${TIME} gate sshd(pam_unix)[42]: authentication failure; logname= uid=0 rhost=192.0.2.7  user=root`,
  `${TIME} gate sshd[42]: drop connection #11 from [192.0.2.7]:4711 on [10.0.0.1]:22 past MaxStartups`,
  `${TIME} gate sudo:  bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls`,
  `${TIME} gate su: + /dev/pts/0 bob:root`,
  `${TIME} gate login: FAILED LOGIN 1 FROM host FOR bob, Authentication failure`,
  `${TIME} gate useradd[1]: new user: name=bob, UID=1001, GID=1001`,
  `${TIME} gate gpasswd[1]: user bob added by root to group sudo`,
  `${TIME} gate CRON[1]: (root) CMD (true)`,
  `${TIME} gate ftpd[1]: connection from 192.0.2.7 (x.example) at noon`,
  `${TIME} 2026 gate syslogd 1.4.1: restart.`,
  '2026-11-21T09:00:00.123456+00:00 web app[77]: ready',
  '2026-11-21 09:00:00,123 [WARN] main: slow',
  String.raw`<165>1 2026-10-11T22:14:15.003Z h app 8710 ID47 [ex@1 iut="\"3" src="App"][b c="d"] text`,
  '192.0.2.1 - frank [10/Oct/2026:13:55:36 -0700] "GET /a?b HTTP/1.0" 200 2326 "http://x/" "agent"',
];
/** What the parser itself may say. */
const CONSTANTS =
  /^(?:success|failure|root|kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|ntp|audit|alert|clock|local[0-7])$/;

/** A seed after some cuts, repetitions, swaps and insertions. */
const mutated = fc
  .tuple(
    fc.constantFrom(...SEEDS),
    fc.array(
      fc.record({
        at: fc.nat(200),
        length: fc.nat(30),
        kind: fc.constantFrom('cut', 'double', 'put', 'tail', 'splice'),
        put: fc.oneof(
          fc.string({ maxLength: 5 }),
          fc.constantFrom(
            ' from ',
            ' port ',
            ': ',
            '[',
            ']',
            '(',
            ')',
            '"',
            '\\',
            ' ',
            '\0',
            "'",
            ' ssh2',
            ';',
          ),
        ),
        other: fc.constantFrom(...SEEDS),
      }),
      { maxLength: 5 },
    ),
  )
  .map(([seed, edits]) => {
    let text = seed;
    for (const { at, length, kind, put, other } of edits) {
      const from = at % (text.length + 1);
      const head = text.slice(0, from);
      if (kind === 'cut') text = head + text.slice(from + length);
      else if (kind === 'double') text = head + text.slice(from, from + length) + text.slice(from);
      else if (kind === 'put') text = head + put + text.slice(from);
      else if (kind === 'tail') text = head;
      else text = head + other.slice(from % other.length);
    }
    return text;
  });

/** Parses from inside a buffer whose other bytes would be noticed; says what is wrong with what was written, if anything. */
function faultOf(record: Uint8Array): string {
  const row = new RecordingRow(RECORD_TIME_US);
  const bytes = Buffer.concat([Buffer.from('\u0001>1 0 '), record, Buffer.from('0: ssh2]"\u0001')]);
  const start = bytes.indexOf(0x20, 4) + 1;
  const outcome = parseText(bytes, start, start + record.length, row);
  if (outcome === 'blank')
    return Object.keys(row.event).every((key) => key === 'isTextRepaired') ? '' : 'fields';
  if (outcome !== 'event' || row.event['message'] === undefined) return `${outcome} without message`;
  if (row.event['isTextRepaired'] === true) return '';
  const text = Buffer.from(record);
  const hasEscapes = record.includes(0x5c);
  for (const value of row.values) {
    if (CONSTANTS.test(value.toString())) continue;
    const isContained =
      text.includes(value) || isKey(text, value) || (hasEscapes && isSubsequence(text, value));
    if (!isContained) return JSON.stringify(value.toString());
  }
  return '';
}

/** `sdid.param`: both halves are bytes of the line. */
function isKey(text: Buffer, key: Buffer): boolean {
  for (let dot = key.indexOf('.'); dot !== -1; dot = key.indexOf('.', dot + 1)) {
    if (text.includes(key.subarray(0, dot)) && text.includes(key.subarray(dot + 1))) return true;
  }
  return false;
}

function isSubsequence(text: Uint8Array, value: Uint8Array): boolean {
  let at = 0;
  for (const byte of text) if (byte === value[at]) at++;
  return at === value.length;
}

test('mutated lines never throw and give only bytes of the line', () => {
  fc.assert(
    fc.property(mutated, (text) => {
      expect(faultOf(Buffer.from(text))).toBe('');
    }),
    { numRuns: 5000 },
  );
});

test('random bytes never throw and give only bytes of the line', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (record) => {
      expect(faultOf(record)).toBe('');
    }),
    { numRuns: 3000 },
  );
});

test('the block builder takes every mutated line as one row', () => {
  const block = new EventBlock();
  fc.assert(
    fc.property(fc.array(mutated, { minLength: 1, maxLength: 20 }), (lines) => {
      block.reset({ source: 1, partition: 0, retentionDays: 30, retentionClass: 0 });
      let eventCount = 0;
      for (const text of lines) {
        const bytes = new Uint8Array(Buffer.from(text));
        block.beginRow(eventCount, RECORD_TIME_US);
        if (parseText(bytes, 0, bytes.length, block) === 'event') {
          block.commitRow();
          eventCount++;
        } else {
          block.clearRow();
        }
      }
      expect(block.finish().rowCount).toBe(eventCount);
    }),
    { numRuns: 200 },
  );
});

test('every prefix of every form is an event', () => {
  for (const seed of SEEDS) {
    for (let length = 1; length <= seed.length; length++)
      expect(faultOf(Buffer.from(seed.slice(0, length)))).toBe('');
  }
});

test('a user name cannot change what sshd says about its peer', () => {
  const names = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.constantFrom(
      'a from 198.51.100.9 port 5 ssh2',
      'x from 198.51.100.9 port 1 ssh2: y',
      ' from ',
      ' port 5',
    ),
    fc
      .array(fc.constantFrom(' from ', '198.51.100.9', ' port ', '77', ' ssh2', ': ', ']', 'invalid user '))
      .map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(names, (name) => {
      fc.pre(!/[\r\n]/.test(name));
      const peer = 'from 192.0.2.7 port 4022';
      for (const message of [
        `Failed password for invalid user ${name} ${peer} ssh2`,
        `Invalid user ${name} ${peer}`,
        `error: maximum authentication attempts exceeded for invalid user ${name} ${peer} ssh2 [preauth]`,
        `Connection closed by invalid user ${name} 192.0.2.7 port 4022 [preauth]`,
      ]) {
        const event = eventOf(`${TIME} gate sshd[42]: ${message}`);
        expect([event['sourceIp'], event['sourcePort']]).toEqual(['192.0.2.7', 4022]);
        expect(event['user'] ?? '').toBe(name);
      }
    }),
    { numRuns: 2000 },
  );
});

test('long lines take time in proportion to their length', () => {
  const length = 1_000_000;
  const head = `${TIME} gate sshd[42]: `;
  const lines = [
    `${head}Failed password for root${' from 192.0.2.7 port 5'.repeat(length / 22)}`,
    `${head}Disconnecting invalid user x${' 192.0.2.7 port 5:'.repeat(length / 18)}`,
    `${TIME} gate sudo: bob :${' USER=x ;'.repeat(length / 9)}`,
    `${TIME} gate sudo: bob${' : '.repeat(length / 3)}`,
    `<13>1 - h a 1 - [a${' b="c"'.repeat(length / 6)}] m`,
    `<13>1 - h a 1 - ${'[a b="c"]'.repeat(length / 9)} m`,
    `${TIME} gate ${'a:'.repeat(length / 2)}`,
    `192.0.2.1 - ${'['.repeat(length)}" "`,
    '"'.repeat(length),
    '\u00e9'.repeat(length / 2),
  ];
  const startMs = performance.now();
  for (const line of lines) checkLong(line);
  expect(performance.now() - startMs).toBeLessThan(5000);
});

function checkLong(text: string): void {
  const bytes = Buffer.from(text);
  const row = new RecordingRow(RECORD_TIME_US);
  expect(parseText(bytes, 0, bytes.length, row)).toBe('event');
}
