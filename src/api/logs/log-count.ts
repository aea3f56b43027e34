/**
 * How many logs a selection has on all its pages: counted, or estimated at a bounded cost.
 */
import type { QueryPort } from '../../pipeline/query-port.ts';
import { selectLimited } from '../query-limits.ts';
import { rollupConditions, rollupFor } from './event-rollup.ts';
import { conditionsOf, type LogsSelection, type Statement } from './logs-sql.ts';

export interface LogCount {
  readonly total: number;
  readonly rowsRead: number;
  readonly elapsedMs: number;
}

interface CountPorts {
  readonly store: QueryPort;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly sampleRows?: number;
}

/** An estimate that no rollup has reads this many rows and concludes from them. */
const SAMPLE_ROWS = 5_000_000;

export async function countLogs(
  selection: LogsSelection,
  kind: 'exact' | 'estimate',
  ports: CountPorts,
): Promise<LogCount> {
  if (kind === 'exact') return await select(countStatement(selection), ports);
  const rollup = rollupFor(selection, ports.now());
  if (rollup === undefined) return await sample(selection, ports);
  const conditions = rollupConditions(selection, rollup);
  const sql = `SELECT sum(event_count) AS total FROM ${rollup} WHERE ${conditions.sql}`;
  return await select({ sql, params: conditions.params }, ports);
}

/** Counts the first rows; where that was not all, as many again for each as many rows that are left. */
async function sample(selection: LogsSelection, ports: CountPorts): Promise<LogCount> {
  const statement = countStatement(selection);
  const { sampleRows = SAMPLE_ROWS } = ports;
  const settings = { max_rows_to_read: sampleRows, read_overflow_mode: 'break' };
  const counted = await select({ ...statement, settings }, ports);
  if (counted.rowsRead < sampleRows) return counted;
  const plan = await selectLimited<{ rows: number }>(
    ports.store,
    { sql: `EXPLAIN ESTIMATE ${statement.sql}`, params: statement.params },
    ports.signal,
  );
  const toRead = plan.rows.reduce((sum, { rows }) => sum + rows, 0);
  const factor = Math.max(1, toRead / counted.rowsRead);
  return { ...counted, total: Math.round(counted.total * factor) };
}

function countStatement(selection: LogsSelection): Statement {
  const conditions = conditionsOf(selection);
  return { sql: `SELECT count() AS total FROM logs WHERE ${conditions.sql}`, params: conditions.params };
}

async function select(
  statement: Statement & { readonly settings?: Readonly<Record<string, string | number>> },
  { store, signal }: CountPorts,
): Promise<LogCount> {
  const { rows, ...cost } = await selectLimited<{ total: number }>(store, statement, signal);
  return { ...cost, total: rows[0]?.total ?? 0 };
}
