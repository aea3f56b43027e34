/**
 * The grammar of `filter=`: what binds how, what the values may be, and what is said where it does not fit.
 */
import { describe, expect, it } from 'vitest';
import type { Filter } from '../../../src/api/filter/ast.ts';
import { filterKey } from '../../../src/api/filter/canonical.ts';
import { parseFilter } from '../../../src/api/filter/parse-filter.ts';
import { readLogFilter } from '../../../src/api/logs/log-filter.ts';
import { type InputFault, MillraceError } from '../../../src/errors.ts';

function errorOf(run: () => unknown): MillraceError {
  try {
    run();
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

function faultOf(source: string): InputFault {
  const { code, faults } = errorOf(() => parseFilter(source));
  expect(code).toBe('bad_request');
  expect(faults).toHaveLength(1);
  return faults[0]!;
}

const equals = (field: string, ...values: string[]): Filter => ({ kind: 'equals', field, values });

describe('the grammar', () => {
  it('binds not before and, and before or', () => {
    expect(parseFilter('host=a or not host=b and host=c')).toEqual({
      kind: 'or',
      parts: [
        equals('host', 'a'),
        { kind: 'and', parts: [{ kind: 'not', part: equals('host', 'b') }, equals('host', 'c')] },
      ],
    });
    expect(parseFilter('not (host=a or host=b)')).toEqual({
      kind: 'not',
      part: { kind: 'or', parts: [equals('host', 'a'), equals('host', 'b')] },
    });
  });

  it.each([
    ['host=web-1', equals('host', 'web-1')],
    ['HOST = "web 1"', equals('host', 'web 1')],
    [String.raw`host = "a \"b\" \\ \d"`, equals('host', String.raw`a "b" \ \d`)],
    [`host = 'it is "so"'`, equals('host', 'it is "so"')],
    ['host != a', { kind: 'not', part: equals('host', 'a') }],
    ['host not in (a, "b c")', { kind: 'not', part: equals('host', 'a', 'b c') }],
    ['user Not Exists', { kind: 'not', part: { kind: 'exists', field: 'user' } }],
    ['http.path prefix /admin', { kind: 'prefix', field: 'http.path', text: '/admin' }],
    ['message contains "a, b"', { kind: 'contains', field: 'message', text: 'a, b' }],
    [String.raw`host ~ "^web-\d+$"`, { kind: 'matches', field: 'host', pattern: String.raw`^web-\d+$` }],
    [
      'message has \'failed "by Peer:"\'',
      { kind: 'words', words: ['failed', 'by', 'peer'], phrases: ['by peer:'] },
    ],
    ['http.status >= 500', { kind: 'compare', field: 'http.status', order: '>=', value: '500' }],
    [
      'memory_usage.used>0018446744073709551615',
      { kind: 'compare', field: 'memory_usage.used', order: '>', value: '18446744073709551615' },
    ],
    ['cpu_usage = 9.50e1', equals('cpu_usage', '95')],
    ['cpu_usage = -0', equals('cpu_usage', '0')],
    ['attr.http.agent = curl/8', equals('attr.http.agent', 'curl/8')],
    ['metadata."a = b" = 1.50', equals('attr.a = b', '1.50')],
    ['attr.duration_ms > 1e3', { kind: 'compare', field: 'attr.duration_ms', order: '>', value: '1000' }],
    ['level = err', equals('level', 'ERROR')],
    ['level in (WARNING, odd, unset)', equals('level', 'WARN', 'odd', '', 'unset')],
    ['level > warn', { kind: 'compare', field: 'severity_number', order: '>', value: '16' }],
    ['level <= warn', { kind: 'compare', field: 'severity_number', order: '<=', value: '16' }],
    ['level >= notice', { kind: 'compare', field: 'severity_number', order: '>=', value: '10' }],
    ['level < notice', { kind: 'compare', field: 'severity_number', order: '<', value: '10' }],
    ['threats.severity >= high', equals('threats.severity', 'HIGH', 'CRITICAL')],
    ['threats.severity < medium', equals('threats.severity', 'LOW')],
    [
      'timestamp >= 2026-01-02T03:04:05.678901+01:00',
      { kind: 'compare', field: 'timestamp', order: '>=', value: '1767319445678901' },
    ],
    [
      'ip in (10.1.2.3/8, 2001:DB8::/127)',
      {
        kind: 'within',
        field: 'ip',
        networks: [
          {
            first: '0000:0000:0000:0000:0000:ffff:0a00:0000',
            last: '0000:0000:0000:0000:0000:ffff:0aff:ffff',
          },
          {
            first: '2001:0db8:0000:0000:0000:0000:0000:0000',
            last: '2001:0db8:0000:0000:0000:0000:0000:0001',
          },
        ],
      },
    ],
  ] satisfies [string, Filter][])('reads %s', (source, filter) => {
    expect(parseFilter(source)).toEqual(filter);
  });
});

describe('what is said of a filter that cannot be meant', () => {
  it('points at the character, in lines of their own', () => {
    const source = `service = api and ${'(level = warn) and '.repeat(3)}hots = "web-1" and cpu_usage > 90`;
    const { message, faults } = errorOf(() => parseFilter(source));
    const position = source.indexOf('hots');
    expect(faults).toEqual([
      {
        parameter: 'filter',
        position,
        suggestion: 'host',
        detail: 'there is no field "hots" (metadata is attr.<key>). Did you mean host?',
      },
    ]);
    const [said, line = '', caret = ''] = message.split('\n');
    expect(said).toBe(`filter, character ${position + 1}: ${faults[0]?.detail}`);
    expect(line).toBe('… warn) and (level = warn) and hots = "web-1" and c…');
    expect(line.slice(caret.indexOf('^'))).toMatch(/^hots/);
  });

  it('counts characters, not halves of them, and shows no control characters', () => {
    const { message, faults } = errorOf(() => parseFilter('host = "😀\r\n\u202e" und'));
    expect(faults[0]?.position).toBe(14);
    expect(message.split('\n').slice(1)).toEqual(['host = "😀···" und', '              ^']);
  });

  it.each([
    ['', 0, undefined],
    ['host', 4, undefined],
    ['host =', 6, undefined],
    ['host = and', 7, undefined],
    ['host == a', 5, '='],
    ['host=a && user=b', 7, 'and'],
    ['host=a || user=b', 7, 'or'],
    ['host=a user=b', 7, undefined],
    ['!host=a', 0, 'not'],
    ['(host=a', 7, undefined],
    ['host=a)', 6, undefined],
    ['host in a', 8, undefined],
    ['host in (a', 10, undefined],
    ['host in ()', 9, undefined],
    ['host = "a', 7, undefined],
    ['host < a', 5, undefined],
    ['host not = a', 9, undefined],
    ['host like a', 5, 'contains'],
    ['host startswith a', 5, 'prefix'],
    ['host has a', 5, undefined],
    ['status = 500', 0, 'http.status'],
    ['http_status = 500', 0, 'http.status'],
    ['threats = x', 0, 'threats.name'],
    ['constructor = x', 0, undefined],
    ['"host" = a', 0, undefined],
    ['attr. = a', 0, undefined],
    ['attr."" = a', 0, undefined],
    ['http.status > 5x', 14, undefined],
    ['http.status > -1', 14, undefined],
    ['http.status = 18446744073709551616', 14, undefined],
    ['cpu_usage > 1e999', 12, undefined],
    ['cpu_usage > NaN', 12, undefined],
    ['attr.x > ten', 9, undefined],
    ['timestamp > now-15m', 12, undefined],
    ['timestamp > 2026-02-30T00:00:00Z', 12, undefined],
    ['level >= wran', 9, 'warn'],
    ['level ~ warn', 6, undefined],
    ['threats.severity >= hihg', 20, 'HIGH'],
    ['source_ip = 10.0.0.0/33', 12, undefined],
    ['source_ip = 10.0.0.0/8/8', 12, undefined],
    ['source_ip = 010.0.0.1', 12, undefined],
    ['source_ip in (10.0.0.1, fe80::1%eth0)', 24, undefined],
    ['source_ip > 10.0.0.1', 10, undefined],
    ['message contains ""', 17, undefined],
    ['message ~ a(b', 11, undefined],
    [String.raw`message ~ "\"\q"`, 13, undefined],
    ['message ~ "(?=a)"', 11, undefined],
  ])('refuses %j at %i', (source, position, suggestion) => {
    const fault = faultOf(source);
    expect([fault.position, fault.suggestion]).toEqual([position, suggestion]);
  });

  it.each([
    ['length', `host = ${'a'.repeat(4000)}`],
    ['depth', `${'('.repeat(21)}host=a${')'.repeat(21)}`],
    ['depth', `${'not '.repeat(21)}host=a`],
    ['tests', Array.from({ length: 101 }, () => 'pid=1').join(' or ')],
    ['expressions', Array.from({ length: 11 }, () => 'host ~ a').join(' or ')],
    ['list', `pid in (${Array.from({ length: 101 }, () => '1').join(',')})`],
    ['words', `message has "${'a '.repeat(26)}"`],
    ['expression', `message ~ "${'a'.repeat(201)}"`],
    ['expression', 'message ~ "a{101}"'],
    ['expression', 'message ~ "(?:a{100}){100}"'],
    ['expression', `message ~ "${'('.repeat(11)}a${')'.repeat(11)}"`],
  ])('bounds the %s', (_, source) => {
    expect(faultOf(source).detail).toMatch(/at most|to 100|too large|may have/);
  });

  it('takes what is just within the bounds', () => {
    expect(parseFilter(`${'('.repeat(20)}host=a${')'.repeat(20)}`)).toEqual(equals('host', 'a'));
    const tests = Array.from({ length: 100 }, () => 'pid=1');
    expect(parseFilter(tests.join(' or '))).toMatchObject({ kind: 'or', parts: { length: 100 } });
    expect(parseFilter(`pid in (${tests.map(() => '1').join(',')})`)).toMatchObject({
      values: { length: 100 },
    });
  });
});

describe('the key of a filter', () => {
  const keyOf = (query: string): string => filterKey(readLogFilter(new URLSearchParams(query)));

  it.each([
    ['filter=host=a and user=b', 'filter=(USER = "b")   AND host=a'],
    ['filter=host=a and (user=b and pid=1)', 'filter=pid=1 and user=b and host=a and pid=01'],
    ['filter=host=a or host=b', 'host=b&host=a'],
    ['filter=host in (a, b, a)', 'host=a&host=b'],
    ['filter=not not host=a', 'host=a'],
    ['filter=host != a', 'filter=not (host in (a))'],
    ['filter=level >= warn', 'min_level=warning'],
    ['filter=threats.severity=high and attr.k="x y"', 'attr.k=x y&threat_severity=HIGH'],
    ['filter=metadata.k=1', 'attr.k=1'],
    ['filter=ip=10.0.0.7/8', 'ip=10.0.0.0/8'],
    ['filter=source_ip=2001:db8:0::5', 'source_ip=2001:DB8::5'],
    ['filter=message has "Failed root"', 'q=root failed FAILED'],
    ['', 'filter= '],
  ])('is one for %j and %j', (a, b) => {
    expect(keyOf(a)).toBe(keyOf(b));
  });

  it.each([
    ['filter=host=a', 'filter=user=a'],
    ['filter=host=a and user=b', 'filter=host=a or user=b'],
    ['filter=host=a', 'filter=host prefix a'],
    ['filter=host=a', 'filter=host=A'],
    ['filter=message has "a b"', 'filter=message has \'"a b"\''],
    ['filter=host="a,b"', 'filter=host in (a,b)'],
    ['filter=pid<1', 'filter=pid<=1'],
    ['', 'filter=not host=a'],
  ])('tells %j from %j', (a, b) => {
    expect(keyOf(a)).not.toBe(keyOf(b));
  });
});
