/** The README's table of lifetimes says what the statements of the schema say. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DEFAULT_RETENTION_DAYS } from '../../src/commands/command-store.ts';
import { PACKAGE_ROOT } from '../../src/package-info.ts';

const FOLDER = join(PACKAGE_ROOT, 'clickhouse');

/** By table: `90 DAY`, or the column whose value counts in days; empty for tables without a TTL. */
function readLifetimes(): Map<string, string> {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.sql'));
  const sql = files
    .toSorted()
    .map((name) => readFileSync(join(FOLDER, name), 'utf8'))
    .join('\n')
    .replaceAll(/--.*$/gm, '');
  const lifetimes = new Map<string, string>();
  for (const statement of sql.split(';')) {
    const table = /^\s*(?:CREATE TABLE IF NOT EXISTS|ALTER TABLE) (\w+)/.exec(statement)?.[1];
    if (table === undefined || table === 'ledger_next') continue;
    const ttl = /\bTTL [^;]*?(?:INTERVAL (\d+ [A-Z]+)|toIntervalDay\((\w+)\))/.exec(statement);
    if (statement.includes('CREATE TABLE') || ttl !== null) lifetimes.set(table, ttl?.[1] ?? ttl?.[2] ?? '');
  }
  return lifetimes;
}

/** What the README says, in the same words. */
function readDocumented(): Map<string, string> {
  const readme = readFileSync(join(PACKAGE_ROOT, 'README.md'), 'utf8');
  const section = /## How long things are kept\n([^]*?)\n## /.exec(readme)?.[1] ?? '';
  const documented = new Map<string, string>();
  for (const line of section.split('\n')) {
    const [, , tables = '', kept = ''] = line.split('|');
    for (const [, name = ''] of tables.matchAll(/`(\w+)`/g)) documented.set(name, kept.trim());
  }
  return documented;
}

function inWords(lifetime: string): string {
  if (lifetime === '') return 'for good';
  if (lifetime === 'retention_days') return `${DEFAULT_RETENTION_DAYS} days`;
  const [count = '', unit = ''] = lifetime.toLowerCase().split(' ');
  return `${count} ${unit}s`;
}

describe('the README says how long the rows are kept', () => {
  const documented = readDocumented();
  test.each([...readLifetimes()])('of %s', (table, lifetime) => {
    expect(documented.get(table)).toBe(inWords(lifetime));
  });
});
