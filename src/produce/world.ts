/**
 * The imagined machines that events come from: their names, services, load and counters, all from one seed.
 */

import type { Attack } from './attack.ts';
import type { EventTime } from './event-time.ts';
import type { Random } from './random.ts';
import { trafficRate } from './traffic.ts';

export interface Host {
  readonly name: string;
  readonly address: string;
  readonly environment: string;
  readonly region: string;
  readonly services: readonly string[];
  readonly memoryTotal: number;
  /** Percent times 100, so that texts have at most two decimals. */
  cpuHundredths: number;
  memoryUsed: number;
  /** Bytes per second on average, of the host and not of the seed. */
  readonly rxRate: number;
  readonly txRate: number;
  /** Counters as of the last metrics. */
  rxBytes: number;
  txBytes: number;
  nextPid: number;
}

export interface World {
  readonly random: Random;
  readonly time: EventTime;
  readonly hosts: readonly Host[];
  readonly attack: Attack | undefined;
}

const ROLES = [
  { name: 'web', services: ['storefront', 'session-api', 'static-assets'] },
  { name: 'api', services: ['order-api', 'payment-api', 'catalog-api', 'auth-service'] },
  { name: 'db', services: ['ledger-service', 'search-indexer', 'report-api'] },
  { name: 'worker', services: ['invoice-worker', 'mail-sender', 'image-resizer'] },
  { name: 'edge', services: ['gateway', 'cdn-purger'] },
] as const;

const REGIONS = ['eu-west-1', 'eu-central-1', 'us-east-1'];
const GIB = 1_073_741_824;

export function createHosts(count: number, random: Random): Host[] {
  return Array.from({ length: count }, (_, index) => createHost(index, random));
}

function createHost(index: number, random: Random): Host {
  const role = ROLES[index % ROLES.length] ?? ROLES[0];
  const number = Math.floor(index / ROLES.length) + 1;
  const memoryTotal = random.pick([4, 8, 16, 32, 64]) * GIB;
  return {
    name: `${role.name}-${String(number).padStart(2, '0')}`,
    address: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
    environment: index % 10 === 9 ? 'staging' : 'production',
    region: REGIONS[index % REGIONS.length] ?? 'eu-west-1',
    services: role.services,
    memoryTotal,
    cpuHundredths: random.between(300, 5500),
    memoryUsed: Math.floor(memoryTotal * (0.3 + random.below(400) / 1000)),
    rxRate: trafficRate(index, { least: 20_000, most: 2_000_000 }),
    txRate: trafficRate(index + 7, { least: 10_000, most: 1_500_000 }),
    rxBytes: 0,
    txBytes: 0,
    nextPid: random.between(800, 30_000),
  };
}

const USERS = [
  'anna', 'bela', 'carlos', 'deploy', 'elena', 'farid', 'grace', 'henrik', 'ines', 'jonas', 'kofi', 'lena',
  'mika', 'nadia', 'oskar', 'priya', 'quentin', 'rosa', 'sven', 'tomas',
]; // biome-ignore format: a list of words

export function pickUser(random: Random): string {
  return random.pick(USERS);
}

/** An address of the networks set aside for documents (RFC 5737), so that no real one is accused. */
export function pickOutsideAddress(random: Random): string {
  const network = random.pick(['192.0.2', '198.51.100', '203.0.113']);
  return `${network}.${random.between(1, 254)}`;
}

const HEX = Array.from({ length: 65_536 }, (_, index) => index.toString(16).padStart(4, '0'));

/** Eight hexadecimal digits. */
export function pickHex8(random: Random): string {
  const bits = random.next();
  return `${HEX[bits >>> 16] ?? ''}${HEX[bits & 0xffff] ?? ''}`;
}

/** A duration in milliseconds with two decimals at most, mostly short with a long tail. */
export function pickDuration(random: Random): string {
  const hundredths = random.isTrue(0.02) ? random.between(50_000, 900_000) : random.between(40, 25_000);
  return String(hundredths / 100);
}
