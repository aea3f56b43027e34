/**
 * The body of `millrace dlq redrive`: says what it is about to do, asks, does it, and says what became of it.
 */
import { createInterface } from 'node:readline/promises';
import { type LetterCount, type LetterFilter, letterCounts } from '../api/letters/letter-sql.ts';
import type { Config } from '../config.ts';
import { LetterSeal } from '../encode/letter-seal.ts';
import { MillraceError } from '../errors.ts';
import { armFailpoints } from '../failpoints.ts';
import { createParsePool } from '../pipeline/parse-pool.ts';
import { decompressedLimit } from '../pipeline/pipeline.ts';
import type { Store } from '../store/clickhouse-client.ts';
import { withRedriveTurn } from '../store/redrive-store.ts';
import type { Telemetry } from '../telemetry.ts';
import { auditCommand } from './command-audit.ts';
import { DEFAULT_RETENTION_DAYS, withStore } from './command-store.ts';
import { createCommandTelemetry } from './command-telemetry.ts';
import { type LetterOptions, readIds, readLetterFilter } from './dlq-options.ts';
import { checkedLetterKeys, type LetterKeys } from './letter-keys.ts';
import { EXIT_FAILED, formatCount, writeNote, writeResult } from './output.ts';
import { Redrive, type RedriveSummary } from './redrive.ts';

export interface RedriveOptions extends LetterOptions {
  readonly all?: boolean;
  readonly yes?: boolean;
}

/** Exit code 1 when a letter could not move. */
export async function redriveLetters(
  config: Config,
  ids: readonly string[],
  options: RedriveOptions,
): Promise<void> {
  const filter = readFilter(ids, options);
  armFailpoints(config.failpoints, { isProduction: process.env['NODE_ENV'] === 'production' });
  const telemetry = createCommandTelemetry(config);
  await withStore(config, telemetry, async ({ store }) => {
    const keys = await checkedLetterKeys(config, store);
    // Letters that the redrive itself makes, of records of a batch, are not part of it.
    const [now] = await store.query<{ us: number }>('SELECT toUnixTimestamp64Micro(now64(6)) AS us');
    const until = Math.min(filter.toUs ?? Number.POSITIVE_INFINITY, now?.us ?? 0);
    const bounded = { ...filter, toUs: until };
    const { sql, params } = letterCounts(bounded);
    const plan = await store.query<LetterCount>(sql, params);
    const isAgreed = plan.length === 0 || (await agree(plan, options));
    const summary =
      isAgreed && plan.length > 0
        ? await redrive(store, { config, telemetry, keys, filter: bounded, options })
        : undefined;
    if (summary !== undefined) await auditRedrive(store, ids, summary);
    writeResult(options.json === true, { planned: plan, ...(summary ?? NOTHING) }, () =>
      summary === undefined ? 'No letter was driven again.' : summaryText(summary),
    );
    if (summary !== undefined && (count(summary.stayed) > 0 || count(summary.skipped) > 0)) {
      process.exitCode = EXIT_FAILED;
    }
  });
}

/** The first ids are enough to know which letters were meant. */
const MAX_TARGETS = 5;

async function auditRedrive(store: Store, ids: readonly string[], summary: RedriveSummary): Promise<void> {
  const { moved, stayed } = summary;
  const target = ids.length === 0 ? 'by filter' : ids.slice(0, MAX_TARGETS).join(' ');
  await auditCommand(store, {
    action: 'dead_letters.redrive',
    target,
    detail: { letters: ids.length, moved, stayed: count(stayed) },
  });
}

const NOTHING: RedriveSummary = {
  moved: 0,
  records: { stored: 0, filtered: 0, dead_lettered: 0 },
  stayed: {},
  skipped: {},
};

function readFilter(ids: readonly string[], options: RedriveOptions): LetterFilter {
  const filter = readLetterFilter(options);
  const hasFilter = Object.values(filter).some((value) => value !== undefined);
  if (ids.length > 0) {
    if (!hasFilter && options.all !== true) return { addresses: readIds(ids) };
    throw new MillraceError('usage', 'Give ids or filters, not both.');
  }
  if (hasFilter || options.all === true) return filter;
  throw new MillraceError('usage', 'Say which letters: ids, --reason, --source, --from, --to or --all.');
}

/** Throws `usage` where nobody can be asked. */
async function agree(plan: readonly LetterCount[], { yes }: RedriveOptions): Promise<boolean> {
  for (const { reason, letters, records } of plan) {
    const more = records === letters ? '' : ` (${formatCount(records)} records)`;
    writeNote(`${formatCount(letters).padStart(11)}  ${reason}${more}`);
  }
  if (yes === true) return true;
  if (!process.stdin.isTTY)
    throw new MillraceError('usage', 'Without a terminal to ask on, --yes is needed.');
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await prompt.question('Drive these letters again? [y/N] ')).trim());
  } finally {
    prompt.close();
  }
}

interface RedriveWork {
  readonly config: Config;
  readonly telemetry: Telemetry;
  readonly keys: LetterKeys;
  readonly filter: LetterFilter;
  readonly options: RedriveOptions;
}

async function redrive(
  store: Store,
  { config, telemetry, keys, filter, options }: RedriveWork,
): Promise<RedriveSummary> {
  const pool = createParsePool(config.workers, {
    maxRecordBytes: config.maxRecordBytes,
    maxBatchBytes: decompressedLimit(config.memoryBudgetBytes),
    defaultRetentionDays: DEFAULT_RETENTION_DAYS,
    letterKey: keys[0],
  });
  try {
    return await withRedriveTurn(
      store,
      async (redrive) => {
        const work = new Redrive({ store, redrive, pool, seal: new LetterSeal(keys) });
        await work.run(filter, options.limit ?? Number.MAX_SAFE_INTEGER);
        return work.summary;
      },
      telemetry,
    );
  } finally {
    await pool.stop();
  }
}

function count(letters: Readonly<Record<string, number>>): number {
  return Object.values(letters).reduce((sum, value) => sum + value, 0);
}

function summaryText({ moved, records, stayed, skipped }: RedriveSummary): string {
  const { stored, filtered, dead_lettered: again } = records;
  const list = (letters: Readonly<Record<string, number>>): string[] =>
    Object.entries(letters).map(([why, value]) => `${formatCount(value).padStart(11)}  ${why}`);
  return [
    `${formatCount(moved)} moved: ${formatCount(stored)} events stored, ${formatCount(filtered)} filtered, ` +
      `${formatCount(again)} new letters.`,
    ...(count(stayed) === 0 ? [] : [`${formatCount(count(stayed))} stay:`, ...list(stayed)]),
    ...(count(skipped) === 0 ? [] : [`${formatCount(count(skipped))} left alone:`, ...list(skipped)]),
  ].join('\n');
}
