import { expect, test } from 'vitest';
import { splitStatements } from '../../src/store/sql-statements.ts';

const cases: [name: string, sql: string, expected: string[]][] = [
  ['nothing', '', []],
  ['only comments', '-- a;b\n/* c;d */ ;;', []],
  ['the last without semicolon', 'SELECT 1; SELECT 2', ['SELECT 1', 'SELECT 2']],
  ['a semicolon in a string', "SELECT ';'; SELECT 2;", ["SELECT ';'", 'SELECT 2']],
  ['a doubled quote', "SELECT 'a''; b'; SELECT 2", ["SELECT 'a''; b'", 'SELECT 2']],
  ['an escaped quote', "SELECT 'a\\'; b'; SELECT 2", ["SELECT 'a\\'; b'", 'SELECT 2']],
  ['quoted names', 'SELECT "a;b", `c;d`; SELECT 2', ['SELECT "a;b", `c;d`', 'SELECT 2']],
  ['comment signs in a string', "SELECT '--;', '/*;'; SELECT 2", ["SELECT '--;', '/*;'", 'SELECT 2']],
  ['a quote in a comment', "-- don't;\nSELECT 1; /* don't; */ SELECT 2", ['SELECT 1', 'SELECT 2']],
  ['a comment that separates words', 'SELECT/**/1', ['SELECT 1']],
  ['a comment that is not closed', 'SELECT 1; /* x', ['SELECT 1']],
  ['a string that is not closed', "SELECT 1; SELECT 'x;", ['SELECT 1', "SELECT 'x;"]],
];

test.each(cases)('splitStatements handles %s', (_, sql, expected) => {
  expect(splitStatements(sql)).toEqual(expected);
});
