/**
 * Options of `millrace replay`: text from the command line → a request.
 */
import { Option } from 'commander';
import { parseTime } from '../api/time-input.ts';
import { errorMessage, MillraceError, quoteValue } from '../errors.ts';
import type { ReplayPoint, ReplayRequest } from '../replay/plan.ts';

export const REPLAY_MODES = ['missing', 'replace', 'detect'] as const;

export interface ReplayOptions extends ReplayRequest {
  readonly mode: (typeof REPLAY_MODES)[number];
  /** Print the plan and end. */
  readonly isPlanOnly: boolean;
  /** Go on without asking. */
  readonly isConfirmed: boolean;
  readonly isJson: boolean;
}

export function replayFlags(): Option[] {
  return [
    new Option('--topic <name>', 'topic to process again').makeOptionMandatory(),
    new Option(
      '--from <time|offset>',
      'first record: its offset, or a time (RFC 3339, now-2h)',
    ).makeOptionMandatory(),
    new Option('--to <time|offset>', 'first record that is left out (all that was processed)'),
    new Option('--partition <number...>', 'only these partitions (all)'),
    new Option(
      '--mode <mode>',
      'missing: store what is stored nowhere; replace: put what parsing gives now in the place of what is stored; detect: evaluate rules',
    )
      .choices([...REPLAY_MODES])
      .makeOptionMandatory(),
    new Option('--plan', 'print the plan and end'),
    new Option('-y, --yes', 'go on without asking'),
    new Option('--json', 'print JSON'),
  ];
}

/** What commander makes of the flags above. */
interface RawOptions {
  readonly topic: string;
  readonly from: string;
  readonly to?: string;
  readonly partition?: readonly string[];
}

/** Throws `usage`. */
export function readReplayOptions(raw: Readonly<Record<string, unknown>>, nowMs: number): ReplayOptions {
  const { topic, from: fromText, to: toText, partition: partitions } = raw as unknown as RawOptions;
  const from = readPoint('--from', fromText, nowMs);
  const to = toText === undefined ? undefined : readPoint('--to', toText, nowMs);
  if (to !== undefined && isBackwards(from, to)) {
    throw new MillraceError(
      'usage',
      `--from ${quoteValue(fromText)} is not before --to ${quoteValue(toText)}.`,
    );
  }
  return {
    topic,
    from,
    to,
    partitions: partitions?.map(readPartition),
    mode: raw['mode'] as ReplayOptions['mode'],
    isPlanOnly: raw['plan'] === true,
    isConfirmed: raw['yes'] === true,
    isJson: raw['json'] === true,
  };
}

function readPoint(flag: string, text: string, nowMs: number): ReplayPoint {
  if (/^\d{1,15}$/.test(text)) return { kind: 'offset', offset: Number(text) };
  try {
    return { kind: 'time', timeMs: Math.floor(parseTime(flag, text, nowMs) / 1000) };
  } catch (error) {
    throw new MillraceError('usage', `An offset, or: ${errorMessage(error)}`);
  }
}

function readPartition(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new MillraceError('usage', `--partition must be a number, not ${quoteValue(text)}.`);
}

/** Only points of one kind can be compared before Kafka is asked. */
function isBackwards(from: ReplayPoint, to: ReplayPoint): boolean {
  if (from.kind === 'offset') return to.kind === 'offset' && from.offset >= to.offset;
  return to.kind === 'time' && from.timeMs >= to.timeMs;
}
