/**
 * Networks of settings: an address, or an address with the length of its prefix (CIDR, RFC 4632, RFC 4291).
 */
import { BlockList, isIP } from 'node:net';

const BITS = { ipv4: 32, ipv6: 128 } as const;

interface Network {
  readonly address: string;
  readonly prefixBits: number;
  readonly family: keyof typeof BITS;
}

/** Undefined when `text` is neither an address nor a network. */
export function readNetwork(text: string): Network | undefined {
  const [address = '', length, rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || address.includes('%') || rest !== undefined) return undefined;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  if (length !== undefined && !/^(?:0|[1-9]\d{0,2})$/.test(length)) return undefined;
  const prefixBits = Number(length ?? BITS[family]);
  return prefixBits > BITS[family] ? undefined : { address, prefixBits, family };
}

/** Whether an address is in one of `networks`; what is no network is left out. */
export function networkTest(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const text of networks) {
    const network = readNetwork(text);
    if (network !== undefined) list.addSubnet(network.address, network.prefixBits, network.family);
  }
  return (address) => {
    const version = isIP(address);
    return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6');
  };
}
