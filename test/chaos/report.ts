/** The written report of a run: docs/chaos-report.md for people, bench/results/chaos.json for programs. */
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { saveResult } from '../../bench/support/results.ts';
import { PACKAGE_ROOT } from '../../src/package-info.ts';
import type { ReadyState } from './member.ts';
import type { ScenarioResult } from './run-scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';

const MAX_STATES = 12;
const MAX_FINDINGS = 5;
const COUNT = new Intl.NumberFormat('en-US');

/** Seeds that each scenario needs for the report. */
export const MIN_SEEDS = 3;

/** One line of a file of results. */
interface KeptResult {
  readonly commit: string;
  readonly result: ScenarioResult;
}

/** Adds a result to a file, with the commit it belongs to. */
export function appendResult(file: string, result: ScenarioResult): void {
  appendFileSync(file, `${JSON.stringify({ commit: commitNow(), result } satisfies KeptResult)}\n`);
}

/** In the order of the scenarios. Throws for results of another program, oracle or scenario than those of now. */
export function readResults(files: readonly string[]): ScenarioResult[] {
  const kept = files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as KeptResult),
  );
  const other = kept.find(({ commit, result }) => !isSameAsNow(commit, result.id));
  if (other !== undefined) {
    const { commit, result } = other;
    throw new Error(`A result of ${result.id} is of ${commit}; what it was about has changed since.`);
  }
  const place = ({ id }: ScenarioResult): number => SCENARIOS.findIndex((scenario) => scenario.id === id);
  return kept.map(({ result }) => result).toSorted((a, b) => place(a) - place(b) || a.seed - b.seed);
}

/** Whether every scenario was run or skipped in its long form with enough seeds, and without each of its safeguards. */
export function isWhole(results: readonly ScenarioResult[]): boolean {
  return SCENARIOS.every(({ id, sabotages = [] }) => {
    const own = results.filter((result) => result.id === id);
    const seeds = own.filter(({ scale, sabotage }) => scale === 'long' && sabotage === undefined);
    return (
      new Set(seeds.map(({ seed }) => seed)).size >= MIN_SEEDS &&
      sabotages.every((name) => own.some(({ sabotage }) => sabotage === name))
    );
  });
}

/** The last of each run, and those before it: of runs that were repeated. */
export function splitRepeated(results: readonly ScenarioResult[]) {
  const runOf = ({ id, seed, scale, sabotage }: ScenarioResult): string =>
    [id, seed, scale, sabotage].join(' ');
  const last = new Map(results.map((result) => [runOf(result), result]));
  return {
    last: [...last.values()],
    earlier: results.filter((result) => last.get(runOf(result)) !== result),
  };
}

export function writeReport(results: readonly ScenarioResult[]): void {
  saveResult('chaos', { results }, { isPrinted: false });
  writeMarkdown(join(PACKAGE_ROOT, 'docs/chaos-report.md'), results);
}

export function writeMarkdown(file: string, results: readonly ScenarioResult[]): void {
  writeFileSync(file, reportMarkdown(results, commitNow()));
}

/** What a result is about: the program, and who judges it; the file of the scenario is added. */
const JUDGED = ['src', 'workers', 'clickhouse', 'test/chaos/oracle'];

/** A commit that is not known here differs, too. */
function isSameAsNow(commit: string, id: string): boolean {
  const scenario = `test/chaos/scenarios/f${id.slice(1).padStart(2, '0')}-*`;
  const command = ['diff', '--quiet', commit, 'HEAD', '--', ...JUDGED, scenario];
  return spawnSync('git', command, { cwd: PACKAGE_ROOT }).status === 0;
}

function commitNow(): string {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: PACKAGE_ROOT }).toString().trim();
}

function reportMarkdown(all: readonly ScenarioResult[], commit: string): string {
  const { last: results, earlier } = splitRepeated(all);
  const machine = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 1024 ** 3)} GiB`;
  const passedCount = results.filter(({ isPassed }) => isPassed).length;
  const skippedCount = results.filter(({ skipped }) => skipped !== undefined).length;
  const plain = results.filter(({ sabotage }) => sabotage === undefined);
  const sabotaged = results.filter(({ sabotage }) => sabotage !== undefined);
  return `${[
    '# Chaos report',
    '',
    `Written by \`npm run chaos\`. ${new Date().toISOString().slice(0, 16)}Z, commit ${commit}, Node ${process.version}, ${machine}: ${passedCount} of ${results.length} runs passed, ${skippedCount} were skipped.`,
    '',
    'Passed means: every record that the broker holds is stored once with the right content, or dead-lettered or filtered as it must be; no row is without a record; the rollups equal a recomputation; the ledger balances and covers every offset; everything is committed; and the demands of the scenario hold.',
    '',
    '| scenario | seed | verdict | records | faults | seconds | restart to first insert, ms | memory MiB before → after | open files before → after |',
    '|---|---|---|---|---|---|---|---|---|',
    ...plain.map(resultRow),
    '',
    '## Sabotage',
    '',
    'A safeguard is left out; the run passes when the oracle notices.',
    '',
    '| scenario | safeguard | seed | noticed | what it said first |',
    '|---|---|---|---|---|',
    ...sabotaged.map(
      (result) =>
        `| ${result.id} | \`${result.sabotage ?? ''}\` | ${result.seed} | ${verdict(result, ['yes', '**no**'])} | ${cell(result.findings[0] ?? '')} |`,
    ),
    ...repeatedSection(earlier),
    '',
    '## What /readyz said, and what was found',
    ...results.filter(({ skipped }) => skipped === undefined).flatMap(details),
  ].join('\n')}\n`;
}

/** Nothing that failed goes without saying. */
function repeatedSection(earlier: readonly ScenarioResult[]): string[] {
  if (earlier.length === 0) return [];
  return [
    '',
    '## Runs that were repeated',
    '',
    'What was found the time before; above stands the last time.',
    '',
    '| scenario | seed | verdict | records | what was found |',
    '|---|---|---|---|---|',
    ...earlier.map((result) => {
      const { id, seed, recordCount, findings } = result;
      const found = findings.slice(0, MAX_FINDINGS).map(cell).join('; ');
      return `| ${id} | ${seed} | ${verdict(result)} | ${COUNT.format(recordCount)} | ${found} |`;
    }),
  ];
}

function verdict(
  { isPassed, skipped }: ScenarioResult,
  [yes, no]: readonly [string, string] = ['passed', '**failed**'],
): string {
  if (skipped !== undefined) return `**skipped: ${cell(skipped)}**`;
  return isPassed ? yes : no;
}

function resultRow(result: ScenarioResult): string {
  const { id, title, seed, scale, recordCount, faults, durationMs, figures } = result;
  const list = (name: string): string => (figures[name] ?? []).join(', ');
  const change = (name: string, unit: string): string =>
    figures[`${name}_before${unit}`] === undefined
      ? ''
      : `${list(`${name}_before${unit}`)} → ${list(`${name}_after${unit}`)}`;
  const cells = [
    `${id} ${title}${scale === 'short' ? ' (short form)' : ''}`,
    seed,
    verdict(result),
    COUNT.format(recordCount),
    faults.length,
    Math.round(durationMs / 1000),
    summary(figures['restart_ms'] ?? []),
    change('memory', '_mib'),
    change('files', ''),
  ];
  return `| ${cells.join(' | ')} |`;
}

function summary(values: readonly number[]): string {
  if (values.length < 4) return values.join(', ');
  const sorted = values.toSorted((a, b) => a - b);
  return `median ${sorted[Math.floor(sorted.length / 2)]}, most ${sorted.at(-1)} (of ${sorted.length})`;
}

function details({ id, seed, sabotage, faults, readiness, findings, figures }: ScenarioResult): string[] {
  const others = Object.entries(figures).filter(([name]) => !/^(restart_ms|memory_|files_)/.test(name));
  return [
    '',
    `### ${id}, seed ${seed}${sabotage === undefined ? '' : `, without its safeguard (\`${sabotage}\`)`}`,
    '',
    `- faults: ${faults.map(({ atMs, text }) => `${seconds(atMs)} ${text}`).join('; ') || 'none'}`,
    ...Object.entries(readiness).map(([name, states]) => `- ${name}: ${timeline(states)}`),
    ...others.map(([name, values]) => `- ${name}: ${values.join(', ')}`),
    ...findings.slice(0, MAX_FINDINGS).map((finding) => `- found: ${cell(finding)}`),
  ];
}

function timeline(states: readonly ReadyState[]): string {
  const shown = states.slice(0, MAX_STATES).map(({ atMs, state }) => `${seconds(atMs)} ${state}`);
  const left = states.length - shown.length;
  return shown.join(', ') + (left > 0 ? `, … (${left} more changes)` : '');
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ').slice(0, 400);
}
