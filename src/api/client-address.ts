/**
 * Who is at the other end when there are proxies between. Only a proxy that is trusted is believed, and of its
 * `X-Forwarded-For` only what trusted proxies wrote: the list grows to the right, and anybody can begin it.
 */
import { isIP } from 'node:net';
import { networkTest } from '../config/network.ts';
import type { HttpRequest } from './http/port.ts';
import { plainAddress } from './http/request-head.ts';

const MAX_HOPS = 32;

export class ClientAddress {
  readonly #isTrusted: (address: string) => boolean;

  /** `proxies`: addresses and networks; of none nothing is believed. */
  constructor(proxies: readonly string[]) {
    this.#isTrusted = proxies.length === 0 ? () => false : networkTest(proxies);
  }

  /** The right-most address that is no trusted proxy; what is no address ends the list. */
  of({ remoteAddress, headers }: HttpRequest): string {
    if (!this.#isTrusted(remoteAddress)) return remoteAddress;
    const hops = (headers.get('x-forwarded-for') ?? '').split(',').slice(-MAX_HOPS);
    let client = remoteAddress;
    for (const hop of hops.toReversed()) {
      const address = readHop(hop);
      if (address === undefined) return client;
      client = address;
      if (!this.#isTrusted(client)) return client;
    }
    return client;
  }
}

/** Some proxies add the port, and then write IPv6 addresses in brackets. */
function readHop(text: string): string | undefined {
  const [, bracketed, quad] = /^\[([^\]]*)\](?::\d+)?$|^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text.trim()) ?? [];
  const address = plainAddress(bracketed ?? quad ?? text.trim());
  return isIP(address) === 0 || address.includes('%') ? undefined : address;
}
