/**
 * The day that `up --demo` shows: usual traffic of a small installation with quiet nights, and one story in it. An
 * address scans a web server, guesses a password there, something eats the CPU and scanners report it; lately the
 * same address tries passwords on every host. The same options give the same events.
 */
import { createAttack, type Scenario } from './attack.ts';
import type { EventKind } from './draft.ts';
import { createGenerator, type GeneratorOptions, type ProducedEvent } from './generator.ts';
import { Random } from './random.ts';
import { createHosts } from './world.ts';

export interface DemoDayOptions {
  readonly seed: number;
  /** End of the day, milliseconds since the epoch. */
  readonly endMs: number;
  /** About how many; `DemoDay.eventCount` is exact. */
  readonly events: number;
}

export interface DemoDay {
  readonly eventCount: number;
  /** All of them, each part in the order of time; sequence numbers from 1 to `lastSeq`, some left out. */
  events(): IterableIterator<ProducedEvent>;
  readonly lastSeq: number;
  /** Address of the attacker. */
  readonly attacker: string;
  /** The host that is attacked first. */
  readonly target: string;
}

const HOST_COUNT = 20;
const MINUTE_US = 60e6;
const HOUR_US = 60 * MINUTE_US;
const DAY_US = 24 * HOUR_US;
const BASELINE_SHARE = 0.75;
/** Percent of the busiest hour, by hour of the day in UTC. */
const HOUR_WEIGHTS = [
  35, 30, 25, 25, 25, 30, 45, 60, 80, 95, 100, 100, 95, 100, 100, 95, 90, 85, 75, 65, 60, 55, 45, 40,
] as const; // biome-ignore format: one line per day

interface Burst {
  readonly kind: EventKind;
  readonly scenario?: Scenario;
  /** Part of all events. */
  readonly share: number;
  /** Before the end of the day. */
  readonly beginsMinutesBefore: number;
  readonly minutes: number;
}

const BURSTS: readonly Burst[] = [
  { kind: 'logs', scenario: 'web-scan', share: 0.05, beginsMinutesBefore: 540, minutes: 20 },
  {
    kind: 'security-events',
    scenario: 'ssh-brute-force',
    share: 0.07,
    beginsMinutesBefore: 500,
    minutes: 15,
  },
  { kind: 'system-metrics', scenario: 'cpu-spike', share: 0.04, beginsMinutesBefore: 480, minutes: 60 },
  { kind: 'threat-logs', share: 0.01, beginsMinutesBefore: 460, minutes: 30 },
  { kind: 'security-events', scenario: 'spray', share: 0.08, beginsMinutesBefore: 40, minutes: 12 },
];

export function createDemoDay({ seed, endMs, events }: DemoDayOptions): DemoDay {
  const startUs = endMs * 1000 - DAY_US;
  const mean = HOUR_WEIGHTS.reduce((sum, weight) => sum + weight, 0) / HOUR_WEIGHTS.length / 100;
  const madeCount = Math.max(1, Math.round((events * BASELINE_SHARE) / mean));
  const thinning = { seed, startUs, madeCount };
  const bursts = BURSTS.map((burst) => ({ ...burst, count: Math.max(1, Math.round(events * burst.share)) }));
  const burstCount = bursts.reduce((sum, { count }) => sum + count, 0);
  const baseline = { kind: 'mixed', seed, startUs, rate: (madeCount * 1e6) / DAY_US } as const;
  const hosts = { hosts: HOST_COUNT };
  return {
    eventCount: countKept(thinning) + burstCount,
    lastSeq: madeCount + burstCount,
    ...actors(seed),
    *events() {
      yield* thinned({ ...baseline, ...hosts }, thinning);
      let firstSeq = madeCount + 1;
      for (const { kind, scenario, count, minutes, beginsMinutesBefore } of bursts) {
        const begin = endMs * 1000 - beginsMinutesBefore * MINUTE_US;
        const rate = (count * 1e6) / (minutes * MINUTE_US);
        const attack = scenario === undefined ? {} : { scenario };
        yield* take({ kind, seed, startUs: begin, rate, firstSeq, ...hosts, ...attack }, count);
        firstSeq += count;
      }
    },
  };
}

/** What goes on after the day, on the same hosts, the attacker still among it. */
export function liveDemoOptions(seed: number, nowMs: number, rate: number): GeneratorOptions {
  const scenario = 'ssh-brute-force';
  // Milliseconds as numbers: every start has its own, and all are above those of the day.
  return { kind: 'mixed', seed, startUs: nowMs * 1000, rate, firstSeq: nowMs, hosts: HOST_COUNT, scenario };
}

/** A generator makes its hosts first and then its attack, so one seed means one attacker in every scenario. */
function actors(seed: number): { readonly attacker: string; readonly target: string } {
  const random = new Random(seed);
  const hosts = createHosts(HOST_COUNT, random);
  const { sourceIp, hostIndex } = createAttack('web-scan', hosts.length, random);
  return { attacker: sourceIp, target: hosts[hostIndex]?.name ?? '' };
}

function* take(options: GeneratorOptions, count: number): IterableIterator<ProducedEvent> {
  const generator = createGenerator(options);
  for (let i = 0; i < count; i++) yield generator.next();
}

interface Thinning {
  readonly seed: number;
  readonly startUs: number;
  readonly madeCount: number;
}

/** Of events at an even rate, as many as their hour deserves. */
function* thinned(options: GeneratorOptions, thinning: Thinning): IterableIterator<ProducedEvent> {
  const generator = createGenerator(options);
  for (const isKept of choices(thinning)) {
    const event = generator.next();
    if (isKept) yield event;
  }
}

function countKept(thinning: Thinning): number {
  let count = 0;
  for (const isKept of choices(thinning)) if (isKept) count += 1;
  return count;
}

/** By chance: a pattern would meet that of the hosts, whose metrics take turns. */
function* choices({ seed, startUs, madeCount }: Thinning): IterableIterator<boolean> {
  const random = new Random(seed);
  for (let i = 0; i < madeCount; i++) {
    const hour = Math.floor(((startUs + (i * DAY_US) / madeCount) % DAY_US) / HOUR_US);
    yield random.below(100) < (HOUR_WEIGHTS[hour] ?? 0);
  }
}
