/** Who is at the other end of proxies, and which trace a request belongs to. */
import { expect, it } from 'vitest';
import { ClientAddress } from '../../src/api/client-address.ts';
import { deprecationFields } from '../../src/api/deprecation.ts';
import type { HttpRequest } from '../../src/api/http/port.ts';
import { readTraceId } from '../../src/api/trace-parent.ts';
import { readNetwork } from '../../src/config/network.ts';

const PROXIES = ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'];

function clientOf(peer: string, forwarded: string | undefined, proxies: readonly string[] = PROXIES): string {
  const headers = new Map(forwarded === undefined ? [] : [['x-forwarded-for', forwarded]]);
  return new ClientAddress(proxies).of({ remoteAddress: peer, headers } as unknown as HttpRequest);
}

/** What it shows, the peer, its list, and the client. */
const FORWARDED: readonly (readonly [string, string, string | undefined, string])[] = [
  ['a peer that is no proxy is not believed', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
  ['a proxy that says nothing stands for itself', '10.1.2.3', undefined, '10.1.2.3'],
  ['a proxy names its client', '10.1.2.3', '198.51.100.1', '198.51.100.1'],
  ['what the client wrote is left of it', '10.1.2.3', '1.1.1.1, 198.51.100.1', '198.51.100.1'],
  ['proxies in a row are passed', '10.1.2.3', '1.1.1.1, 198.51.100.1, 10.9.9.9', '198.51.100.1'],
  ['proxies all the way: the farthest', '10.1.2.3', '10.0.0.1, 10.0.0.2', '10.0.0.1'],
  ['what is no address ends the list', '10.1.2.3', '198.51.100.1, nonsense, 10.0.0.2', '10.0.0.2'],
  ['what is no address is never taken', '10.1.2.3', '1.1.1.1, <script>', '10.1.2.3'],
  ['an empty list', '10.1.2.3', '', '10.1.2.3'],
  ['a list of nothing', '10.1.2.3', ',,,', '10.1.2.3'],
  ['with a port', '10.1.2.3', '198.51.100.1:4711', '198.51.100.1'],
  ['IPv6 with a port', '10.1.2.3', '[2001:db9::1]:4711', '2001:db9::1'],
  ['IPv4 in its mapping', '10.1.2.3', '::ffff:198.51.100.1', '198.51.100.1'],
  ['an address with a zone', '10.1.2.3', 'fe80::1%eth0', '10.1.2.3'],
  ['a proxy by its address', '192.0.2.7', '198.51.100.1', '198.51.100.1'],
  ['its neighbour', '192.0.2.8', '198.51.100.1', '192.0.2.8'],
  ['a proxy with IPv6', '2001:db8:5::1', '2001:db9::1', '2001:db9::1'],
  ['an address of no network', '::1', '198.51.100.1', '::1'],
];

it.each(FORWARDED)('%s', (_name, ...[peer, forwarded, client]) => {
  expect(clientOf(peer, forwarded)).toBe(client);
  expect(clientOf(peer, forwarded, [])).toBe(peer);
});

it('walks a bounded part of a list without an end', () => {
  const hops = Array.from({ length: 1000 }, () => '10.0.0.1');
  expect(clientOf('10.1.2.3', `198.51.100.1, ${hops.join(', ')}`)).toBe('10.0.0.1');
});

it('reads networks, and nothing else', () => {
  expect(readNetwork('10.0.0.0/8')).toEqual({ address: '10.0.0.0', prefixBits: 8, family: 'ipv4' });
  expect(readNetwork('::1')).toEqual({ address: '::1', prefixBits: 128, family: 'ipv6' });
  for (const text of ['', '10.0.0.0/33', '10.0.0.0/08', '10.0.0/8', '::/129', '::1%lo', 'a', '1.1.1.1/8/8'])
    expect(readNetwork(text)).toBeUndefined();
});

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

it.each([
  [`00-${TRACE}-00f067aa0ba902b7-01`, TRACE],
  [`00-${TRACE}-00f067aa0ba902b7-01-more`, undefined],
  [`cc-${TRACE}-00f067aa0ba902b7-01-more`, TRACE],
  [`ff-${TRACE}-00f067aa0ba902b7-01`, undefined],
  [`00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, undefined],
  [`00-${TRACE}-${'0'.repeat(16)}-01`, undefined],
  [`00-${TRACE.toUpperCase()}-00f067aa0ba902b7-01`, undefined],
  [`00-${TRACE}-00f067aa0ba902b7-01, 00-${TRACE}-00f067aa0ba902b7-01`, undefined],
  ['', undefined],
])('traceparent %s is of %s', (value, traceId) => {
  expect(readTraceId(new Map([['traceparent', value]]))).toBe(traceId);
});

it('says when a route goes as the standards have it', () => {
  expect(deprecationFields({ since: '2026-01-02', sunset: '2027-01-01', link: '/docs' })).toEqual({
    Deprecation: '@1767312000',
    Sunset: 'Fri, 01 Jan 2027 00:00:00 GMT',
    Link: '</docs>; rel="deprecation"',
  });
});
