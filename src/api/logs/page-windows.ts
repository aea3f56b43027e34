/**
 * A page is read in stretches of time from where it begins: a second, the rest of a minute, of an hour, of the range.
 * At millions of rows per bucket of the table the first stretch is all that most pages need; stretches that had too
 * little are not read again, so that a rare find costs what one statement would.
 */
import type { QueryPort, QuerySelection } from '../../pipeline/query-port.ts';
import { selectLimited } from '../query-limits.ts';
import type { LogRow } from './log-shape.ts';
import { type LogsQuery, logsStatement, sqlDirection } from './logs-sql.ts';

type Range = Pick<LogsQuery, 'fromUs' | 'toUs'>;

interface WindowPorts {
  readonly store: QueryPort;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
}

/** Far ends of the stretches from the beginning of the page; the last one ends with the range. */
const REACHES_US = [1e6, 60e6, 3600e6];

/** The rows of `logsStatement`. */
export async function selectPage(query: LogsQuery, ports: WindowPorts): Promise<QuerySelection<LogRow>> {
  const wanted = query.limit + 1;
  const rows: LogRow[] = [];
  let rowsRead = 0;
  let elapsedMs = 0;
  for (const range of windowsOf(query, ports.nowMs * 1000)) {
    const statement = logsStatement({ ...query, ...range, limit: query.limit - rows.length });
    const part = await selectLimited<LogRow>(ports.store, statement, ports.signal);
    rows.push(...part.rows);
    rowsRead += part.rowsRead;
    elapsedMs += part.elapsedMs;
    if (rows.length >= wanted) break;
  }
  return { rows, rowsRead, elapsedMs };
}

/** Ranges that follow one another in the direction of reading and together are that of the query. */
export function windowsOf(query: LogsQuery, nowUs: number): Range[] {
  return sqlDirection(query) === 'DESC' ? backwards(query, nowUs) : forwards(query);
}

/** From the end, the cursor or now, whichever is first; what lies in the future belongs to the first stretch. */
function backwards({ fromUs, toUs, cursor }: LogsQuery, nowUs: number): Range[] {
  const edgeUs = Math.min(nowUs, toUs ?? Infinity, cursor?.position.timestampUs ?? Infinity);
  const ranges: Range[] = [];
  let endUs = toUs;
  for (const reachUs of REACHES_US) {
    const boundUs = edgeUs - reachUs;
    if (boundUs <= Math.max(0, fromUs ?? 0)) break;
    ranges.push({ fromUs: boundUs, toUs: endUs });
    endUs = boundUs;
  }
  return [...ranges, { fromUs, toUs: endUs }];
}

/** From the beginning or the cursor, whichever is last; without either nobody knows where the rows begin. */
function forwards({ fromUs, toUs, cursor }: LogsQuery): Range[] {
  const edgeUs = Math.max(fromUs ?? -Infinity, cursor?.position.timestampUs ?? -Infinity);
  const ranges: Range[] = [];
  let startUs = fromUs;
  for (const reachUs of edgeUs === -Infinity ? [] : REACHES_US) {
    const boundUs = edgeUs + reachUs;
    if (boundUs >= (toUs ?? Infinity)) break;
    ranges.push({ fromUs: startUs, toUs: boundUs });
    startUs = boundUs;
  }
  return [...ranges, { fromUs: startUs, toUs }];
}
