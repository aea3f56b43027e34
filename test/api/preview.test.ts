import { expect, test } from 'vitest';
import { redactedPreview } from '../../src/api/letters/preview.ts';

test.each([
  [
    'JSON',
    '{"user":"anna","n":-12.5,"ok":true,"tags":["a","b"]}',
    '{"user":"***","n":-00.0,"ok":xxxx,"tags":["***","***"]}',
  ],
  ['JSON cut in a value', '{"password":"hunter2', '{"password":"***"'],
  ['JSON cut in a name', '{"password":1,"hunt', '{"password":0,"***"'],
  ['escaped quotes', String.raw`{"a":"x\",\"hunter2\":1"}`, '{"a":"***"}'],
  [
    'a missing quote: no names behind it',
    '{"a": "b,"hunter2":"c", "d":"e"}',
    '{"a": "***"xxxxxx0"***"x"***"x"***"x"***"',
  ],
  ['a bare word', '{"a":hunter2,"b":1}', '{"a":xxxxxx0,"b":0}'],
  ['a nested value after an array', '{"a":[{"b":"c"}],"d":"e"}', '{"a":[{"b":"***"}],"d":"***"}'],
  ['two strings in a row', '{"a" "hunter2":1}', '{"a" "***":0}'],
  [
    'a line',
    'Failed password for r00t from 203.0.113.9 ünï',
    'xxxxxx xxxxxxxx xxx x00x xxxx 000.0.000.0 xxx',
  ],
])('%s', (_name, text, expected) => {
  const bytes = Buffer.from(text);
  expect(redactedPreview(bytes)).toBe(expected);
});

test('bytes that are not text have none, and long ones are cut', () => {
  expect(redactedPreview(Uint8Array.from([1, 0, 2]))).toBeUndefined();
  expect(redactedPreview(Buffer.from('a'.repeat(5000)))).toBe(`${'x'.repeat(2000)}…`);
});
