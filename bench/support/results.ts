/**
 * Where results go: printed, and kept in bench/results, from which the README's figures are written.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/package-info.ts';

const GIBIBYTE = 1024 ** 3;

export interface SavedResult {
  readonly commit: string;
}

/** Adds commit, Node and machine to a result, prints it and keeps it as `bench/results/<name>.json`. */
export function saveResult(name: string, result: object, { isPrinted = true } = {}): SavedResult {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: PACKAGE_ROOT })
    .toString()
    .trim();
  const full = {
    bench: name,
    commit,
    node: process.version,
    cpu: cpus()[0]?.model ?? '',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / GIBIBYTE),
    ...result,
  };
  const text = `${JSON.stringify(full, undefined, 2)}\n`;
  mkdirSync(join(PACKAGE_ROOT, 'bench/results'), { recursive: true });
  writeFileSync(join(PACKAGE_ROOT, `bench/results/${name}.json`), text);
  if (isPrinted) console.log(text);
  return { commit };
}
