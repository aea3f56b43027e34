/** Rows of an answer in JSON, and what reading them took. */
import { parseError } from '@clickhouse/client';
import { MillraceError, quoteValue } from '../errors.ts';

export interface Selection<Row> {
  readonly rows: Row[];
  readonly rowsRead: number;
  readonly bytesRead: number;
  readonly elapsedMs: number;
}

interface JsonAnswer<Row> {
  readonly data: Row[];
  readonly statistics: { readonly elapsed: number; readonly rows_read: number; readonly bytes_read: number };
}

/** Throws what ClickHouse said when the answer ends in an exception, `store_unavailable` when it just ends. */
export function toSelection<Row>(body: string): Selection<Row> {
  let answer: JsonAnswer<Row>;
  try {
    answer = JSON.parse(body) as JsonAnswer<Row>;
  } catch {
    const failure: unknown = parseError(body.slice(-4096));
    if (failure instanceof Error && 'type' in failure) throw failure;
    throw new MillraceError(
      'store_unavailable',
      `ClickHouse's answer broke off: ${quoteValue(body.slice(-80))}.`,
    );
  }
  const { elapsed, rows_read: rowsRead, bytes_read: bytesRead } = answer.statistics;
  return { rows: answer.data, rowsRead, bytesRead, elapsedMs: elapsed * 1000 };
}
