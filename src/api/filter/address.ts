/**
 * IP addresses and networks (CIDR, RFC 4632 and RFC 4291 section 2.3) as texts that sort as the addresses do:
 * IPv6 with all its digits, IPv4 mapped into it, as the columns hold them.
 */
import { isIP, isIPv4 } from 'node:net';
import type { Network } from './ast.ts';

const BITS = 128;
const IPV4_BITS = 32;
const GROUP_BITS = 16n;
const GROUPS = 8;
const GROUP_DIGITS = 4;
const IPV4_PREFIX = 0xffff_0000_0000n;
/** `::` stands for absent in the columns, so no network begins before the address after it. */
const FIRST_ADDRESS = toText(1n);

/** The network that `text` names, an address being one of its own; undefined when it is neither. */
export function parseNetwork(text: string): Network | undefined {
  const [address = '', length, rest] = text.split('/');
  const value = parseAddress(address);
  if (value === undefined || rest !== undefined) return undefined;
  const bits = isIPv4(address) ? IPV4_BITS : BITS;
  if (length !== undefined && !/^(?:0|[1-9]\d{0,2})$/.test(length)) return undefined;
  const hostBits = bits - Number(length ?? bits);
  if (hostBits < 0) return undefined;
  const hosts = (1n << BigInt(hostBits)) - 1n;
  const first = toText(value & ~hosts);
  return { first: first < FIRST_ADDRESS ? FIRST_ADDRESS : first, last: toText(value | hosts) };
}

/** An address of a row in the form of `Network`; undefined when it is absent. */
export function addressText(text: string): string | undefined {
  const value = parseAddress(text);
  return value === undefined || value === 0n ? undefined : toText(value);
}

function parseAddress(text: string): bigint | undefined {
  if (isIPv4(text)) return IPV4_PREFIX | parseQuad(text);
  if (isIP(text) !== 6 || text.includes('%')) return undefined;
  const quad = /[^:]*\.[^:]*$/.exec(text)?.[0];
  const low = quad === undefined ? undefined : parseQuad(quad);
  const hex =
    quad === undefined || low === undefined
      ? text
      : `${text.slice(0, -quad.length)}${(low >> GROUP_BITS).toString(16)}:${(low & 0xffffn).toString(16)}`;
  const [head = '', tail] = hex.split('::');
  const before = groupsOf(head);
  const after = groupsOf(tail ?? '');
  const zeros = Array.from({ length: GROUPS - before.length - after.length }, () => 0n);
  return [...before, ...zeros, ...after].reduce((sum, group) => (sum << GROUP_BITS) | group, 0n);
}

function groupsOf(text: string): bigint[] {
  return text === '' ? [] : text.split(':').map((group) => BigInt(`0x${group}`));
}

function parseQuad(text: string): bigint {
  return text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
}

function toText(value: bigint): string {
  const digits = value.toString(16).padStart(GROUPS * GROUP_DIGITS, '0');
  return digits.replaceAll(/.{4}(?=.)/g, '$&:');
}
