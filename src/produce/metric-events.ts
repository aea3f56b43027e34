/**
 * Host metrics: CPU and memory wander, network counters grow with time, one host after the other.
 */
import type { Draft } from './draft.ts';
import { pickThreats, threatsJson } from './threat-events.ts';
import { trafficBytes } from './traffic.ts';
import type { Host, World } from './world.ts';

const SHARE_WITH_THREAT = 0.005;

export function buildMetricEvent(draft: Draft, world: World): void {
  const { random } = world;
  const hostIndex = draft.seq % world.hosts.length;
  const host = world.hosts[hostIndex] ?? random.pick(world.hosts);
  const isSpike = world.attack?.scenario === 'cpu-spike' && world.attack.hostIndex === hostIndex;
  advance(host, draft.timestampUs, world);
  const cpu = isSpike ? random.between(9200, 10_000) : host.cpuHundredths;
  const threats = random.isTrue(SHARE_WITH_THREAT) ? pickThreats(random, 1) : [];
  draft.host = host.name;
  draft.cpuUsage = String(cpu / 100);
  draft.memoryUsed = String(host.memoryUsed);
  draft.memoryTotal = String(host.memoryTotal);
  draft.memoryPercentage = String(Math.round((host.memoryUsed / host.memoryTotal) * 10_000) / 100);
  draft.networkRxBytes = String(host.rxBytes);
  draft.networkTxBytes = String(host.txBytes);
  draft.threats = threats.map((threat) => threat.name).join(',');
  draft.value =
    `{"timestamp":"${world.time.iso(draft.timestampUs)}","host":"${host.name}","cpu_usage":${draft.cpuUsage},` +
    `"memory_usage":{"used":${draft.memoryUsed},"total":${draft.memoryTotal},` +
    `"percentage":${draft.memoryPercentage}},"network":{"rx_bytes":${draft.networkRxBytes},` +
    `"tx_bytes":${draft.networkTxBytes}},"threats":${threatsJson(threats)},"metadata":{"seq":${draft.seq}}}`;
}

/** Moves a host on to `timestampUs`: a bounded random walk, and traffic up to that time. */
function advance(host: Host, timestampUs: number, world: World): void {
  const { random } = world;
  host.cpuHundredths = clamp(host.cpuHundredths + random.between(-400, 400), 50, 8900);
  const step = Math.floor(host.memoryTotal / 500);
  const used = host.memoryUsed + random.between(-step, step);
  host.memoryUsed = clamp(used, Math.floor(host.memoryTotal / 10), Math.floor(host.memoryTotal * 0.95));
  host.rxBytes = Math.max(host.rxBytes, trafficBytes(host.rxRate, timestampUs));
  host.txBytes = Math.max(host.txBytes, trafficBytes(host.txRate, timestampUs));
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
