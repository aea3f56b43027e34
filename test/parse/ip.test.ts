import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseIp } from '../../src/parse/ip.ts';

/** Hexadecimal digits of the address, or undefined. */
function parse(text: string): string | undefined {
  const bytes = new Uint8Array(Buffer.from(`1${text}:1`));
  const target = new Uint8Array(16).fill(0xaa);
  const isAddress = parseIp(bytes, { start: 1, end: bytes.length - 2 }, target);
  return isAddress ? Buffer.from(target).toString('hex') : undefined;
}

describe('parseIp', () => {
  test.each([
    ['1.2.3.4', '00000000000000000000ffff01020304'],
    ['255.255.255.255', '00000000000000000000ffffffffffff'],
    ['0.0.0.0', '00000000000000000000ffff00000000'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['1::', '00010000000000000000000000000000'],
    ['2001:db8::8:800:200C:417A', '20010db80000000000080800200c417a'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000'],
    ['::2:3:4:5:6:7:8', '00000002000300040005000600070008'],
    ['::ffff:1.2.3.4', '00000000000000000000ffff01020304'],
    ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221'],
    ['1:2:3:4:5:6:1.2.3.4', '00010002000300040005000601020304'],
    ['1:2:3:4::5:1.2.3.4', '00010002000300040000000501020304'],
  ])('%s', (text, expected) => {
    expect(parse(text)).toBe(expected);
  });

  test.each([
    '',
    '-',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1..2.3',
    '1.2.3.4 ',
    ':',
    ':::',
    '1::2::3',
    '12345::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::1.2.3',
    '1.2.3.4::',
    'fe80::1%eth0',
    '[::1]',
    '::g',
  ])('%s is no address', (text) => {
    expect(parse(text)).toBeUndefined();
  });

  test('reads every IPv4 address as mapped', () => {
    fc.assert(
      fc.property(fc.ipV4(), (text) => {
        const digits = text.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
        expect(parse(text)).toBe(`00000000000000000000ffff${digits.join('')}`);
      }),
    );
  });

  test('accepts what Node accepts', () => {
    const candidate = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.stringMatching(/^[0-9a-f:.]{0,20}$/),
      fc
        .array(fc.constantFrom('0', 'ff', ':', '::', '.', '1.2.3.4'), { maxLength: 12 })
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(candidate, (text) => {
        expect(parse(text) !== undefined).toBe(isIP(text) !== 0);
      }),
      { numRuns: 3000 },
    );
  });
});
