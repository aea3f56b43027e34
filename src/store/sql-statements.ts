/** Splits a SQL file into its statements: at semicolons outside of strings, quoted names and comments. */

/** Position just past the string or quoted name that starts at `start`; backslash and doubled quotes escape. */
function skipQuoted(sql: string, start: number): number {
  const quote = sql[start];
  for (let at = start + 1; at < sql.length; at += 1) {
    if (sql[at] === '\\') at += 1;
    else if (sql[at] === quote) {
      if (sql[at + 1] !== quote) return at + 1;
      at += 1;
    }
  }
  return sql.length;
}

/** Position just past the comment that starts at `start`. */
function skipComment(sql: string, start: number): number {
  const isLine = sql[start] !== '/';
  const end = isLine ? sql.indexOf('\n', start) : sql.indexOf('*/', start + 2);
  if (end === -1) return sql.length;
  return isLine ? end : end + 2;
}

function startsComment(sql: string, at: number): boolean {
  return sql.startsWith('--', at) || sql.startsWith('/*', at);
}

/** Statements in order, without their comments, semicolons and surrounding space; empty ones are left out. */
export function splitStatements(sql: string): string[] {
  const statements: string[] = [];
  let current = '';
  let at = 0;
  while (at < sql.length) {
    const character = sql[at] ?? '';
    if (startsComment(sql, at)) {
      at = skipComment(sql, at);
      current += ' ';
    } else if (character === "'" || character === '"' || character === '`') {
      const end = skipQuoted(sql, at);
      current += sql.slice(at, end);
      at = end;
    } else {
      if (character === ';') {
        statements.push(current.trim());
        current = '';
      } else {
        current += character;
      }
      at += 1;
    }
  }
  statements.push(current.trim());
  return statements.filter((statement) => statement !== '');
}
