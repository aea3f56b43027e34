/**
 * The flags of `produce`, read and checked.
 */
import { type Command, Option } from 'commander';
import { PRODUCE_CODECS, type ProduceCodec } from '../bus/compress-records.ts';
import { MillraceError, quoteValue } from '../errors.ts';
import { SCENARIOS, type Scenario } from '../produce/attack.ts';
import { EVENT_KINDS, type EventKind } from '../produce/draft.ts';
import type { GeneratorOptions } from '../produce/generator.ts';

export interface ProduceOptions {
  readonly generator: GeneratorOptions;
  /** Events per second; 0: as fast as possible. */
  readonly rate: number;
  readonly count: number;
  readonly compression: ProduceCodec;
  /** Partitions of topics that have to be created. */
  readonly partitionCount: number;
  /** Where each acknowledged record is written down. */
  readonly ledgerFile: string | undefined;
  readonly isJson: boolean;
}

/** Event time goes on at this rate where events are made as fast as possible. */
const FULL_SPEED_EVENT_RATE = 100_000;

export function addProduceOptions(command: Command): Command {
  return command
    .option('--rate <number>', 'events per second; 0 is as fast as possible', '1')
    .option('--count <number>', 'events in all (until Ctrl-C)')
    .addOption(
      new Option('--kind <kind>', 'kind of events (that of the topic, else logs)').choices([
        ...EVENT_KINDS,
        'mixed',
      ]),
    )
    .option('--topic <name>', 'topic of all events (each kind has its own: logs, system-metrics, …)')
    .addOption(new Option('--scenario <name>', scenarioHelp()).choices(Object.keys(SCENARIOS)))
    .option('--hosts <number>', 'hosts that events come from', '20')
    .option('--seed <number>', 'the same seed and start give the same events', '1')
    .option('--start <time>', 'time of the first event, RFC 3339 (now)')
    .option('--event-rate <number>', 'events per second of event time (--rate)')
    .option('--first-seq <number>', 'sequence number of the first event', '1')
    .addOption(
      new Option('--compression <codec>', 'codec of the Kafka batches')
        .choices([...PRODUCE_CODECS])
        .default('none'),
    )
    .option('--partitions <number>', 'partitions of topics that have to be created', '6')
    .option('--ledger <file>', 'write topic, partition, offset, seq and checksum of each acknowledged record')
    .option('--json', 'print JSON');
}

function scenarioHelp(): string {
  const texts = Object.entries(SCENARIOS).map(([name, { help }]) => `${name}: ${help}`);
  return `attack woven into the events (${texts.join('; ')})`;
}

export function readProduceOptions(
  options: Readonly<Record<string, unknown>>,
  nowMs: number,
): ProduceOptions {
  const rate = readNumber(options, 'rate', { min: 0, max: 10_000_000 });
  const scenario = options['scenario'] as Scenario | undefined;
  const topic = options['topic'] as string | undefined;
  const eventRate =
    options['eventRate'] === undefined
      ? rate || FULL_SPEED_EVENT_RATE
      : readNumber(options, 'eventRate', { min: 0.001, max: 100_000_000 });
  return {
    rate,
    count: options['count'] === undefined ? Infinity : readWhole(options, 'count', { min: 1, max: 1e12 }),
    compression: options['compression'] as ProduceCodec,
    partitionCount: readWhole(options, 'partitions', { min: 1, max: 10_000 }),
    ledgerFile: readLedgerFile(options),
    isJson: options['json'] === true,
    generator: {
      kind: readKind(options, topic, scenario),
      seed: readWhole(options, 'seed', { min: 0, max: Number.MAX_SAFE_INTEGER }),
      startUs: readStart(options['start'], nowMs),
      rate: eventRate,
      hosts: readWhole(options, 'hosts', { min: 1, max: 100_000 }),
      firstSeq: readWhole(options, 'firstSeq', { min: 1, max: 1e15 }),
      ...(scenario === undefined ? {} : { scenario }),
      ...(topic === undefined ? {} : { topic }),
    },
  };
}

function readKind(
  options: Readonly<Record<string, unknown>>,
  topic: string | undefined,
  scenario: Scenario | undefined,
): EventKind | 'mixed' {
  const given = options['kind'] as EventKind | 'mixed' | undefined;
  const wanted = scenario === undefined ? undefined : SCENARIOS[scenario].kind;
  const kind = given ?? wanted ?? EVENT_KINDS.find((known) => known === topic) ?? 'logs';
  if (wanted !== undefined && kind !== wanted && kind !== 'mixed') {
    throw new MillraceError(
      'usage',
      `--scenario ${scenario} shows in ${wanted}: use --kind ${wanted} or mixed.`,
    );
  }
  return kind;
}

interface Limits {
  readonly min: number;
  readonly max: number;
}

function readNumber(options: Readonly<Record<string, unknown>>, name: string, limits: Limits): number {
  const raw = String(options[name]).replaceAll('_', '');
  const value = /^\d+(\.\d+)?(e\d+)?$/i.test(raw) ? Number(raw) : Number.NaN;
  if (value >= limits.min && value <= limits.max) return value;
  const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new MillraceError(
    'usage',
    `--${flag} must be a number from ${limits.min} to ${limits.max}, not ${quoteValue(options[name])}.`,
  );
}

function readWhole(options: Readonly<Record<string, unknown>>, name: string, limits: Limits): number {
  const value = readNumber(options, name, limits);
  if (Number.isInteger(value)) return value;
  throw new MillraceError('usage', `--${name} must be a whole number, not ${quoteValue(options[name])}.`);
}

function readLedgerFile(options: Readonly<Record<string, unknown>>): string | undefined {
  const file = options['ledger'] as string | undefined;
  if (file === undefined || options['url'] === undefined) return file;
  throw new MillraceError('usage', '--ledger is for Kafka: an HTTP endpoint tells no offsets.');
}

function readStart(raw: unknown, nowMs: number): number {
  if (raw === undefined) return nowMs * 1000;
  const ms = typeof raw === 'string' ? Date.parse(raw) : Number.NaN;
  if (!Number.isNaN(ms)) return ms * 1000;
  throw new MillraceError(
    'usage',
    `--start must be a time like 2025-06-01T12:00:00Z, not ${quoteValue(raw)}.`,
  );
}
