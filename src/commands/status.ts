/**
 * `millrace status`: health, rates, lag and ledger of a running program.
 */
import type { Command } from 'commander';
import {
  type ApiClient,
  addApiOptions,
  answerError,
  connectApi,
  readApiTarget,
  readField,
} from './api-client.ts';
import { EXIT_FAILED, formatCount, writeResult } from './output.ts';
import { formatBytes, formatDuration } from './progress.ts';
import { addSettingFlags, loadCommandConfig } from './setting-flags.ts';

const CELL_WIDTH = 16;

interface LedgerEntry {
  readonly source: string;
  readonly partition: number;
  readonly received: number;
  readonly stored: number;
  readonly already_present: number;
  readonly filtered: Readonly<Record<string, number>>;
  readonly dead_lettered: Readonly<Record<string, number>>;
  readonly lost_upstream: number;
  readonly hole_count: number;
  readonly in_flight: number;
  readonly balanced: boolean;
}

export function registerStatus(program: Command): void {
  const command = program
    .command('status')
    .description('show health, rates, lag and ledger of the running program')
    .option('--json', 'print JSON')
    .action(() => showStatus(command));
  addApiOptions(command, 'address of the API (that of the program running on DATA_DIR)');
  addSettingFlags(command, ['general']);
}

/** Exit code 1 when the program is not ready, or the ledger is not balanced: a row does not add up, or there is a hole. */
async function showStatus(command: Command): Promise<void> {
  const options = command.opts<Record<string, unknown>>();
  const { dataDir } = loadCommandConfig(command);
  const client = await connectApi(readApiTarget(options, { dataDir, role: 'viewer' }));
  const status = await read(client, '/pipeline/status');
  const answer = await read(client, '/pipeline/ledger');
  const [balanced, ledger] = [readField(answer, 'balanced') === true, readField(answer, 'data')];
  const entries = Array.isArray(ledger) ? (ledger as LedgerEntry[]) : [];
  if (readField(status, 'ready') !== true || !balanced) process.exitCode = EXIT_FAILED;
  const result = { url: client.url, ...(status as object), balanced, ledger: entries };
  writeResult(options['json'] === true, result, () => statusText(client.url, status, entries));
}

async function read(client: ApiClient, path: string): Promise<unknown> {
  const answer = await client.get(path);
  if (answer.status !== 200) throw answerError(`read ${path}`, answer);
  return answer.body;
}

function statusText(url: string, status: unknown, ledger: readonly LedgerEntry[]): string {
  const number = (name: string, of: unknown = status): number => Number(readField(of, name) ?? 0);
  const memory = readField(status, 'memory');
  const buffers = readField(status, 'buffers');
  const bufferBytes = number('records_bytes', buffers) + number('blocks_bytes', buffers);
  const lines = [
    `${url}   version ${String(readField(status, 'version'))}, up ${formatDuration(number('uptime_seconds'))}`,
    ...healthLines(status),
    `rate     ${formatCount(number('stored_per_second'))} events/s stored, ${formatCount(totalLag(status))} behind`,
    `events   ${formatCount(number('received'))} received, ${formatCount(number('stored'))} stored, ` +
      `${formatCount(number('dead_lettered'))} dead letters, ${formatCount(number('slow_path'))} on the slow path`,
    `memory   ${formatBytes(number('resident_bytes', memory))} resident, ${formatBytes(bufferBytes)} in buffers`,
  ];
  return [...lines, ...ledgerLines(ledger)].join('\n');
}

function healthLines(status: unknown): string[] {
  const problems = readField(status, 'problems');
  if (!Array.isArray(problems) || problems.length === 0) return ['health   ready'];
  return problems.map(
    (problem) =>
      `health   NOT READY: ${String(readField(problem, 'reason'))}: ${String(readField(problem, 'detail'))}`,
  );
}

function totalLag(status: unknown): number {
  const lanes = readField(status, 'lanes');
  if (!Array.isArray(lanes)) return 0;
  return lanes.reduce((sum: number, lane) => sum + Number(readField(lane, 'lag') ?? 0), 0);
}

/** One line per source: its partitions added up. */
function ledgerLines(ledger: readonly LedgerEntry[]): string[] {
  if (ledger.length === 0) return ['ledger   nothing received yet'];
  const sources = new Map<string, LedgerEntry[]>();
  for (const entry of ledger) sources.set(entry.source, [...(sources.get(entry.source) ?? []), entry]);
  const width = Math.max(6, ...[...sources.keys()].map((source) => source.length));
  const head = `ledger   ${'source'.padEnd(width)}  ${COLUMNS.map(([name]) => name.padStart(CELL_WIDTH)).join('')}`;
  const rows = [...sources].map(([source, entries]) => {
    const cells = COLUMNS.map(([, read]) =>
      formatCount(entries.reduce((sum, entry) => sum + read(entry), 0)),
    );
    return `         ${source.padEnd(width)}  ${cells.map((cell) => cell.padStart(CELL_WIDTH)).join('')}`;
  });
  return [head, ...rows, ...unbalancedLines(ledger)];
}

function unbalancedLines(ledger: readonly LedgerEntry[]): string[] {
  return ledger
    .filter(({ balanced }) => !balanced)
    .map(({ source, partition, hole_count: holes }) => {
      const why = holes === 0 ? '' : `: nothing is known of offsets in ${formatCount(holes)} places`;
      return `ledger   NOT BALANCED: ${source}/${partition}${why}`;
    });
}

const COLUMNS: readonly (readonly [string, (entry: LedgerEntry) => number])[] = [
  ['received', (entry) => entry.received],
  ['stored', (entry) => entry.stored],
  ['already present', (entry) => entry.already_present],
  ['filtered', (entry) => sumOf(entry.filtered)],
  ['dead letters', (entry) => sumOf(entry.dead_lettered)],
  ['lost upstream', (entry) => entry.lost_upstream],
  ['holes', (entry) => entry.hole_count],
  ['in flight', (entry) => entry.in_flight],
];

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
