/**
 * What one query of a client may cost in ClickHouse, and what is said when it would cost more.
 */
import { MillraceError } from '../errors.ts';
import type { QueryOptions, QueryPort, QuerySelection } from '../pipeline/query-port.ts';

interface LimitedStatement {
  readonly sql: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** Of ClickHouse, in place of or besides the limits. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

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

/** A result that is streamed may be of any size and take any time; its reader and its memory are what bounds it. */
const STREAM_LIMITS = {
  max_memory_usage: LIMITS.max_memory_usage,
  max_execution_time: 0,
  max_threads: 2,
  max_block_size: 8192,
  readonly: 2,
  cancel_http_readonly_queries_on_client_close: 1,
} as const;

/** TOO_MANY_ROWS, TIMEOUT_EXCEEDED, TOO_SLOW, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES. */
const LIMIT_CODES: ReadonlySet<unknown> = new Set([158, 159, 160, 307, 396]);
const MEMORY_LIMIT_CODE = 241;

/** Runs one query of a client within the limits; one that would pass them is `unprocessable`. */
export async function selectLimited<Row>(
  store: QueryPort,
  statement: LimitedStatement,
  signal: AbortSignal,
): Promise<QuerySelection<Row>> {
  const options: QueryOptions = { settings: { ...LIMITS, ...statement.settings }, signal };
  try {
    return await store.select<Row>(statement.sql, statement.params, options);
  } catch (error) {
    throw toRefusal(error);
  }
}

/** Rows of one statement of a client in chunks, without limits on their number or the time. */
export async function* streamUncapped<Row>(
  store: QueryPort,
  statement: LimitedStatement,
  signal: AbortSignal,
): AsyncGenerator<readonly Row[]> {
  const settings = { ...STREAM_LIMITS, ...statement.settings };
  try {
    yield* store.stream<Row>(statement.sql, statement.params, { settings, signal });
  } catch (error) {
    throw toRefusal(error);
  }
}

function toRefusal(error: unknown): unknown {
  if (!isTooCostly(error)) return error;
  return new MillraceError(
    'unprocessable',
    'The query would read too much: narrow the time range or add a filter by service or host.',
    { cause: error },
  );
}

function isTooCostly(error: unknown): boolean {
  if (!(error instanceof MillraceError)) return false;
  const code = (error.cause as { readonly clickhouseCode?: unknown } | undefined)?.clickhouseCode;
  // The same code says that the server as a whole is out of memory: then it is not the query's fault.
  return LIMIT_CODES.has(code) || (code === MEMORY_LIMIT_CODE && /query memory limit/i.test(error.message));
}
