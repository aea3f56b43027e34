/**
 * Findings of scanners on hosts: `{"timestamp","host","process","threats"}`.
 */
import type { Draft } from './draft.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

export interface ProducedThreat {
  readonly name: string;
  readonly severity: 'LOW' | 'MEDIUM' | 'HIGH' | 'CRITICAL';
  readonly tags: readonly string[];
}

const THREATS: readonly ProducedThreat[] = [
  { name: 'Crypto miner', severity: 'HIGH', tags: ['attack.impact', 'attack.t1496'] },
  { name: 'Reverse shell', severity: 'CRITICAL', tags: ['attack.execution', 'attack.t1059'] },
  { name: 'Credential dump', severity: 'CRITICAL', tags: ['attack.credential_access', 'attack.t1003'] },
  { name: 'Web shell', severity: 'HIGH', tags: ['attack.persistence', 'attack.t1505.003'] },
  { name: 'Port scan', severity: 'MEDIUM', tags: ['attack.discovery', 'attack.t1046'] },
  { name: 'Suspicious cron job', severity: 'MEDIUM', tags: ['attack.persistence', 'attack.t1053.003'] },
  { name: 'World-writable binary', severity: 'LOW', tags: [] },
  { name: 'Outdated package', severity: 'LOW', tags: ['hygiene'] },
];
const PROCESSES = [
  'xmrig',
  'kdevtmpfsi',
  'nc',
  'python3',
  'php-fpm',
  'bash',
  'curl',
  'masscan',
  'cron',
  'java',
];

export function pickThreats(random: Random, most: number): readonly ProducedThreat[] {
  const first = random.pick(THREATS);
  if (most < 2 || !random.isTrue(0.2)) return [first];
  return [first, random.pick(THREATS)];
}

export function threatsJson(threats: readonly ProducedThreat[]): string {
  return threats.length === 0 ? '[]' : JSON.stringify(threats);
}

export function buildThreatEvent(draft: Draft, world: World): void {
  const { random } = world;
  const host = random.pick(world.hosts);
  const threats = pickThreats(random, 2);
  draft.host = host.name;
  draft.process = random.pick(PROCESSES);
  draft.threats = threats.map((threat) => threat.name).join(',');
  draft.value =
    `{"timestamp":"${world.time.iso(draft.timestampUs)}","host":"${host.name}","process":"${draft.process}",` +
    `"threats":${threatsJson(threats)},"metadata":{"seq":${draft.seq}}}`;
}
