/**
 * Which letters a `millrace dlq` command means: ids, or filters.
 */
import { type Command, Option } from 'commander';
import type { LetterFilter } from '../api/letters/letter-sql.ts';
import { parseTime } from '../api/time-input.ts';
import { errorMessage, MillraceError, quoteValue } from '../errors.ts';
import { decodeEventId, type EventAddress } from '../event/event-id.ts';
import { DEAD_LETTER_REASONS } from '../event/reasons.ts';

export interface LetterOptions {
  readonly reason?: string[];
  readonly source?: string[];
  readonly from?: string;
  readonly to?: string;
  readonly limit?: number;
  readonly json?: boolean;
}

const MAX_IDS = 1000;

/** `--reason`, `--source`, `--from`, `--to` and `--limit`. */
export function addLetterFilters(command: Command, limitHelp: string): Command {
  return command
    .addOption(new Option('--reason <reason...>', 'of these reasons only').choices([...DEAD_LETTER_REASONS]))
    .option('--source <name...>', 'of these topics or kinds of sources only')
    .option('--from <time>', 'stored at or after, like 2026-01-31T12:00:00Z or now-1d')
    .option('--to <time>', 'stored before')
    .addOption(new Option('--limit <count>', limitHelp).argParser(parseLimit));
}

export function readLetterFilter({ reason, source, from, to }: LetterOptions): LetterFilter {
  return { reasons: reason, sources: source, fromUs: readTime('--from', from), toUs: readTime('--to', to) };
}

/** Throws `usage` for what is no id. */
export function readIds(ids: readonly string[]): EventAddress[] {
  if (ids.length > MAX_IDS) throw new MillraceError('usage', `At most ${MAX_IDS} ids can be given.`);
  return ids.map((id) => {
    const address = decodeEventId(id);
    if (address === undefined)
      throw new MillraceError('usage', `${quoteValue(id)} is not the id of a letter.`);
    return address;
  });
}

function readTime(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  try {
    return parseTime(name, text, Date.now());
  } catch (error) {
    throw new MillraceError('usage', errorMessage(error), { cause: error });
  }
}

function parseLimit(text: string): number {
  const limit = /^[1-9]\d{0,8}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(limit))
    throw new MillraceError('usage', `--limit must be a whole number from 1 on, got ${quoteValue(text)}.`);
  return limit;
}
