/**
 * What one query of a client may cost in ClickHouse, and what is said when it would cost more.
 */
import { MillraceError } from '../errors.ts';
import type { QueryOptions, QueryPort, QuerySelection } from '../pipeline/query-port.ts';

const LIMITS = {
  max_execution_time: 10,
  timeout_overflow_mode: 'throw',
  max_rows_to_read: 2_000_000_000,
  read_overflow_mode: 'throw',
  max_result_rows: 1_000_000,
  result_overflow_mode: 'throw',
  max_memory_usage: 512 * 1_048_576,
  // No statement of a client writes; `2` because settings come with the request.
  readonly: 2,
  cancel_http_readonly_queries_on_client_close: 1,
} as const;

/** TOO_MANY_ROWS, TIMEOUT_EXCEEDED, TOO_SLOW, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES. */
const LIMIT_CODES: ReadonlySet<unknown> = new Set([158, 159, 160, 307, 396]);
const MEMORY_LIMIT_CODE = 241;

/** Runs one query of a client within the limits; one that would pass them is `unprocessable`. */
export async function selectLimited<Row>(
  store: QueryPort,
  statement: { readonly sql: string; readonly params: Readonly<Record<string, unknown>> },
  signal: AbortSignal,
): Promise<QuerySelection<Row>> {
  const options: QueryOptions = { settings: LIMITS, signal };
  try {
    return await store.select<Row>(statement.sql, statement.params, options);
  } catch (error) {
    if (isTooCostly(error)) {
      throw new MillraceError(
        'unprocessable',
        'The query would read too much: narrow the time range or add a filter by service or host.',
        { cause: error },
      );
    }
    throw error;
  }
}

function isTooCostly(error: unknown): boolean {
  if (!(error instanceof MillraceError)) return false;
  const code = (error.cause as { readonly clickhouseCode?: unknown } | undefined)?.clickhouseCode;
  // The same code says that the server as a whole is out of memory: then it is not the query's fault.
  return LIMIT_CODES.has(code) || (code === MEMORY_LIMIT_CODE && /query memory limit/i.test(error.message));
}
