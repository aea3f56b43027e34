/**
 * Seeded events of the four kinds. The same options give the same events on every machine: no clock and no
 * randomness in here.
 */
import { type Attack, createAttack, type Scenario } from './attack.ts';
import { hashEvent } from './checksum.ts';
import { createDraft, type Draft, type EventKind, resetDraft } from './draft.ts';
import { EventTime } from './event-time.ts';
import { buildLogEvent } from './log-events.ts';
import { buildMetricEvent } from './metric-events.ts';
import { Random } from './random.ts';
import { buildSecurityEvent } from './security-events.ts';
import { buildThreatEvent } from './threat-events.ts';
import { createHosts, type World } from './world.ts';

export interface GeneratorOptions {
  readonly kind: EventKind | 'mixed';
  readonly seed: number;
  /** Time of the first event, whole microseconds since the epoch. */
  readonly startUs: number;
  /** Events per second of event time; above 0. */
  readonly rate: number;
  /** Default 20. */
  readonly hosts?: number;
  /** Number of the first event; default 1. */
  readonly firstSeq?: number;
  readonly scenario?: Scenario;
  /** Topic of all events; default: each kind has its own, of the same name. */
  readonly topic?: string;
}

export interface ProducedEvent {
  readonly kind: EventKind;
  readonly topic: string;
  /** The host. */
  readonly key: string;
  /** JSON object or syslog line. */
  readonly value: string;
  readonly isText: boolean;
  readonly seq: number;
  /** Its share of the checksum. */
  readonly hash: number;
}

export interface Generator {
  next(): ProducedEvent;
}

const DEFAULT_HOST_COUNT = 20;
const SECOND_US = 1_000_000;

const BUILDERS: Readonly<Record<EventKind, (draft: Draft, world: World) => void>> = {
  logs: buildLogEvent,
  'system-metrics': buildMetricEvent,
  'threat-logs': buildThreatEvent,
  'security-events': buildSecurityEvent,
};

export function createGenerator(options: GeneratorOptions): Generator {
  const random = new Random(options.seed);
  const hosts = createHosts(options.hosts ?? DEFAULT_HOST_COUNT, random);
  const attack: Attack | undefined =
    options.scenario === undefined ? undefined : createAttack(options.scenario, hosts.length, random);
  const world: World = { random, hosts, attack, time: new EventTime() };
  const draft = createDraft();
  const firstSeq = options.firstSeq ?? 1;
  const stepUs = SECOND_US / options.rate;
  let index = 0;
  return {
    next() {
      // Up to most of a step late, so that events do not come like clockwork and yet never change places.
      const jitterUs = (random.next() / 0x1_0000_0000) * 0.9 * stepUs;
      const timestampUs = options.startUs + Math.floor(index * stepUs + jitterUs);
      const kind = options.kind === 'mixed' ? pickKind(random) : options.kind;
      resetDraft(draft, firstSeq + index, timestampUs);
      BUILDERS[kind](draft, world);
      index += 1;
      return {
        kind,
        topic: options.topic ?? kind,
        key: draft.host,
        value: draft.value,
        isText: draft.isText,
        seq: draft.seq,
        hash: hashEvent(draft),
      };
    },
  };
}

/** Shares of a usual installation: 70 % logs, 15 % metrics, 12 % security events, 3 % threats. */
function pickKind(random: Random): EventKind {
  const roll = random.below(100);
  if (roll < 70) return 'logs';
  if (roll < 85) return 'system-metrics';
  return roll < 97 ? 'security-events' : 'threat-logs';
}
