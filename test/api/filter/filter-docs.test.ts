/**
 * docs/filter.md says what the code does: its examples are filters, its table has every field with its operators.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FIELD_NAMES } from '../../../src/api/filter/fields.ts';
import { parseFilter } from '../../../src/api/filter/parse-filter.ts';
import { OPERATORS } from '../../../src/api/filter/read-test.ts';

const TEXT = readFileSync(new URL('../../../docs/filter.md', import.meta.url), 'utf8');

/** Cells of the table between the marks, without its head. */
function table(mark: string): string[][] {
  const [, part = ''] = new RegExp(`<!-- ${mark} -->([^]*)<!-- /${mark} -->`).exec(TEXT) ?? [];
  const lines = part.trim().split('\n').slice(2);
  return lines.map((line) => line.slice(2, -2).split(/(?<!\\) \| /));
}

const codes = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);

/** A value that every field with the operator takes, or nearly. */
function testOf(field: string, operator: string): string[] {
  if (operator === 'exists') return [`${field} exists`];
  const values = ['1', 'warn', 'HIGH', '10.0.0.1', '2026-01-31T12:00:00Z'];
  return values.map((value) =>
    operator === 'in' ? `${field} in (${value})` : `${field} ${operator} ${value}`,
  );
}

function isTaken(source: string): boolean {
  try {
    parseFilter(source);
    return true;
  } catch {
    return false;
  }
}

describe('docs/filter.md', () => {
  it('has examples that are filters', () => {
    const examples = table('examples').map(([cell]) => codes(cell)[0]?.replaceAll(String.raw`\|`, '|') ?? '');
    expect(examples.length).toBeGreaterThan(10);
    expect(examples.filter((example) => !isTaken(example))).toEqual([]);
  });

  it('has every field, with the operators that it takes', () => {
    const documented = table('fields').flatMap(([fields, , operators]) =>
      codes(fields).map((field): [string, string[]] => [field, codes(operators)]),
    );
    const names = documented.map(([field]) => field).filter((field) => !field.endsWith('<key>'));
    expect(names.toSorted()).toEqual(FIELD_NAMES.toSorted());
    for (const [field, operators] of documented) {
      const name = field.replace('<key>', 'k');
      const taken = OPERATORS.filter((operator) => testOf(name, operator).some(isTaken));
      expect([field, taken.toSorted()]).toEqual([field, operators.toSorted()]);
    }
  });
});
