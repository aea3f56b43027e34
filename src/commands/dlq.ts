/**
 * `millrace dlq list|show|redrive`: the dead letters, in the running program's store.
 */
import type { Command } from 'commander';
import { openLetter, toLetter } from '../api/letters/letter-shape.ts';
import {
  type LetterFilter,
  type LetterPayload,
  type LetterRow,
  letterKey,
  letterPage,
  payloads,
} from '../api/letters/letter-sql.ts';
import { redactedPreview } from '../api/letters/preview.ts';
import { SourceNames } from '../api/logs/sources.ts';
import type { Config } from '../config.ts';
import { LetterSeal } from '../encode/letter-seal.ts';
import { MillraceError } from '../errors.ts';
import type { Store } from '../store/clickhouse-client.ts';
import { auditCommand } from './command-audit.ts';
import { loadStoreConfig, withStore } from './command-store.ts';
import { createCommandTelemetry } from './command-telemetry.ts';
import { addLetterFilters, type LetterOptions, readIds, readLetterFilter } from './dlq-options.ts';
import { type RedriveOptions, redriveLetters } from './dlq-redrive.ts';
import { loadLetterKeys } from './letter-keys.ts';
import { formatCount, writeResult } from './output.ts';
import { addSettingFlags } from './setting-flags.ts';

const LIST_LIMIT = 100;
const ANY_SIZE = 2 ** 40;

export function registerDlq(program: Command): void {
  const dlq = program.command('dlq').description('list, show and redrive dead letters');
  registerList(dlq);
  registerShow(dlq);
  registerRedrive(dlq);
}

function registerList(dlq: Command): void {
  const list = dlq.command('list').description('list dead letters, newest first');
  const command = finish(addLetterFilters(list, `at most so many (${LIST_LIMIT})`));
  command.action(async (options: LetterOptions) => {
    const config = loadStoreConfig(command);
    const filter = readLetterFilter(options);
    const limit = options.limit ?? LIST_LIMIT;
    await withStore(config, createCommandTelemetry(config), async ({ store }) => {
      const rows = await select(store, filter, limit);
      const names = await sourcesOf(store, rows);
      const letters = rows.slice(0, limit).map((row) => toLetter(row, names.get(row.source)));
      const hasMore = rows.length > limit;
      writeResult(options.json === true, { data: letters, has_more: hasMore }, () => {
        const lines = letters.map(
          ({ id, stored_at, reason, source, bytes }) =>
            `${id}  ${stored_at.slice(0, 19)}Z  ${reason.padEnd(20)}  ${formatCount(bytes).padStart(11)}  ` +
            `${source.topic === '' ? source.kind : source.topic}/${source.partition}/${source.offset}`,
        );
        const head = `${'id'.padEnd(36)}  ${'stored'.padEnd(20)}  ${'reason'.padEnd(20)}  ${'bytes'.padStart(11)}  source`;
        const more = hasMore ? [`… and more: --limit, --from, --to`] : [];
        return letters.length === 0 ? 'There are no dead letters.' : [head, ...lines, ...more].join('\n');
      });
    });
  });
}

function registerShow(dlq: Command): void {
  const command = finish(
    dlq
      .command('show')
      .description('show one dead letter; its content is masked')
      .argument('<id>', 'id of the letter')
      .option('--raw', 'write the bytes as they came to standard output, and nothing else'),
  );
  command.action(async (id: string, options: LetterOptions & { raw?: boolean }) => {
    const config = loadStoreConfig(command);
    const addresses = readIds([id]);
    await withStore(config, createCommandTelemetry(config), async ({ store }) => {
      const [row] = await select(store, { addresses }, 1);
      if (row === undefined) throw new MillraceError('not_found', 'There is no dead letter with this id.');
      const bytes = await readBytes(store, row, config);
      if (options.raw === true) {
        await auditCommand(store, { action: 'dead_letters.read', target: id, detail: {} });
        process.stdout.write(bytes);
        return;
      }
      const names = await sourcesOf(store, [row]);
      const letter = { ...toLetter(row, names.get(row.source)), preview: redactedPreview(bytes) ?? null };
      writeResult(options.json === true, letter, () => letterText(letter));
    });
  });
}

function registerRedrive(dlq: Command): void {
  const redrive = dlq
    .command('redrive')
    .description('parse dead letters again; what is an event now moves to the logs')
    .argument('[ids...]', 'ids of letters')
    .option('--all', 'all letters that meet the filters, or all')
    .option('--yes', 'do not ask');
  const command = finish(addLetterFilters(redrive, 'at most so many'), ['pipeline']);
  command.addHelpText('after', '\nExit code 1 when a letter could not move.');
  command.action(async (ids: string[], options: RedriveOptions) => {
    await redriveLetters(loadStoreConfig(command), ids, options);
  });
}

function finish(command: Command, groups: readonly 'pipeline'[] = []): Command {
  return addSettingFlags(command.option('--json', 'print JSON'), ['general', 'clickhouse', ...groups]);
}

/** One row more than the limit, if there is one. */
async function select(store: Store, filter: LetterFilter, limit: number): Promise<LetterRow[]> {
  const { sql, params } = letterPage(filter, limit);
  return await store.query<LetterRow>(sql, params);
}

async function sourcesOf(store: Store, rows: readonly LetterRow[]) {
  return await new SourceNames(store, Date.now).resolve(new Set(rows.map((row) => row.source)));
}

async function readBytes(store: Store, row: LetterRow, config: Config): Promise<Uint8Array> {
  const { sql, params } = payloads([row], ANY_SIZE);
  const found = await store.query<LetterPayload>(sql, params);
  const payload = found.find((candidate) => letterKey(candidate) === letterKey(row));
  return openLetter(
    row,
    Buffer.from(payload?.sealed ?? '', 'base64'),
    new LetterSeal(loadLetterKeys(config)),
  );
}

function letterText(letter: ReturnType<typeof toLetter> & { readonly preview: string | null }): string {
  const { source } = letter;
  return [
    `id        ${letter.id}`,
    `reason    ${letter.reason}`,
    `detail    ${letter.detail}`,
    `source    ${source.kind} ${source.topic} partition ${source.partition} offset ${source.offset}`,
    `time      ${letter.record_time}, stored ${letter.stored_at}`,
    `holds     ${formatCount(letter.bytes)} bytes (${letter.content}), ${formatCount(letter.records)} records`,
    ...(letter.redriven_at === null ? [] : [`redriven  ${letter.redriven_at}, in vain`]),
    `preview   ${letter.preview ?? 'none: the bytes are not text'}`,
  ].join('\n');
}
