import { expect, test } from 'vitest';
import { toJsonLine } from '../../src/commands/record-line.ts';

test.each([
  ['{"a":1}', '{"a":1}'],
  ['{"big":12345678901234567890}', '{"big":12345678901234567890}'],
  ['{\n "a": "x\\ny"\r\n}\n', '{  "a": "x\\ny" }'],
  ['<38>Jun  1 sshd: "x"\n', '{"message":"<38>Jun  1 sshd: \\"x\\""}'],
  ['{"broken', '{"message":"{\\"broken"}'],
  ['[1]', '{"message":"[1]"}'],
  ['', '{"message":""}'],
])('toJsonLine of %j', (value, expected) => {
  expect(toJsonLine(Buffer.from(value))).toBe(expected);
});
