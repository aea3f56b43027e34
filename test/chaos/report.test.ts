/** The report of a run: what is skipped is said, what is not whole is not the report, and results are joined. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Sabotage } from '../../src/failpoints.ts';
import { PACKAGE_ROOT } from '../../src/package-info.ts';
import { appendResult, isWhole, MIN_SEEDS, readResults, writeMarkdown } from './report.ts';
import type { ScenarioResult } from './run-scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-report-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

function resultOf(id: string, seed: number, differs: Partial<ScenarioResult> = {}): ScenarioResult {
  return {
    id,
    title: 'a title',
    seed,
    scale: 'long',
    isPassed: true,
    findings: [],
    recordCount: 5,
    durationMs: 1000,
    faults: [],
    figures: {},
    readiness: {},
    ...differs,
  };
}

function wholeRun(): ScenarioResult[] {
  return SCENARIOS.flatMap(({ id, sabotages = [] }) => [
    ...Array.from({ length: MIN_SEEDS }, (_, i) => resultOf(id, i + 1)),
    ...sabotages.map((sabotage: Sabotage) => resultOf(id, 1, { scale: 'short', sabotage })),
  ]);
}

test('only all scenarios with all seeds and without each safeguard make the report', () => {
  const whole = wholeRun();
  expect(isWhole(whole)).toBe(true);
  for (const left of whole) expect(isWhole(whole.filter((result) => result !== left))).toBe(false);
  expect(isWhole(whole.map((result) => ({ ...result, scale: 'short' })))).toBe(false);
  expect(isWhole(whole.map((result) => ({ ...result, seed: 1 })))).toBe(false);
});

test('results of several processes are joined in the order of the scenarios', () => {
  const [one, two] = [join(directory, 'one.jsonl'), join(directory, 'two.jsonl')];
  appendResult(one, resultOf('F2', 1));
  appendResult(one, resultOf('F10', 1));
  appendResult(two, resultOf('F2', 2, { skipped: 'no tool', isPassed: false }));
  expect(readResults([two, one]).map(({ id, seed }) => `${id}/${seed}`)).toEqual(['F2/1', 'F2/2', 'F10/1']);
});

test('results are of this program only', () => {
  const file = join(directory, 'kept.jsonl');
  const keep = (commit: string): void =>
    writeFileSync(file, JSON.stringify({ commit, result: resultOf('F2', 1) }));
  keep('HEAD');
  expect(readResults([file])).toHaveLength(1);
  // Git's empty tree, and none.
  for (const commit of ['4b825dc642cb6eb9a060e54bf8d69288fbee4904', '0000000']) {
    keep(commit);
    expect(() => readResults([file])).toThrow(`A result of F2 is of ${commit}`);
  }
});

test('what was skipped has its row and its reason', () => {
  const file = join(directory, 'report.md');
  const skipped = { skipped: 'strace is not here', isPassed: false } as const;
  writeMarkdown(file, [
    resultOf('F1', 1),
    resultOf('F4', 1, skipped),
    resultOf('F4', 1, { ...skipped, sabotage: 'skip_guard' }),
  ]);
  const text = readFileSync(file, 'utf8');
  expect(text).toContain('1 of 3 runs passed, 2 were skipped');
  expect(text).toContain('| F4 a title | 1 | **skipped: strace is not here** |');
  expect(text).toContain('| F4 | `skip_guard` | 1 | **skipped: strace is not here** |');
});

test('the closing lines of the CI script name what was skipped and why', () => {
  const file = join(directory, 'report.json');
  const tests = [
    { fullName: 'a', status: 'passed', meta: {} },
    { fullName: 'F4: kill (seed 12)', status: 'skipped', meta: { skipped: 'strace is not here' } },
  ];
  const report = {
    numPassedTests: 1,
    numFailedTests: 0,
    numFailedTestSuites: 0,
    testResults: [{ assertionResults: tests }],
  };
  writeFileSync(file, JSON.stringify(report));
  const said = execFileSync(process.execPath, [join(PACKAGE_ROOT, '.ci/count.mjs'), file]).toString();
  expect(said).toBe('1 skipped (F4: kill: strace is not here)\n1 passed, 0 failed\n');
});

test('of runs that were repeated the last one counts, and what the others found is told', () => {
  const file = join(directory, 'report.md');
  const failed = resultOf('F1', 1, { isPassed: false, findings: ['demand: too late'] });
  writeMarkdown(file, [
    failed,
    resultOf('F1', 1),
    resultOf('F1', 2),
    resultOf('F1', 1, { sabotage: 'skip_guard' }),
  ]);
  const report = readFileSync(file, 'utf8');
  expect(report).toContain('3 of 3 runs passed');
  expect(report).toContain('## Runs that were repeated');
  expect(report).toContain('| F1 | 1 | **failed** | 5 | demand: too late |');
  writeMarkdown(file, [resultOf('F1', 1)]);
  expect(readFileSync(file, 'utf8')).not.toContain('repeated');
});
