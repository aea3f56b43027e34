/**
 * What one query of a client may cost in ClickHouse, and what is said when it would cost more.
 */
import { MillraceError } from '../errors.ts';
import type { QueryOptions, QueryPort, QuerySelection } from '../pipeline/query-port.ts';
import { unlessAborted } from './unless-aborted.ts';

interface LimitedStatement {
  readonly sql: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** Of ClickHouse, in place of or besides the limits. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

const MIB = 1_048_576;
const GIB = 1024 * MIB;

const LIMITS = {
  max_execution_time: 10,
  timeout_overflow_mode: 'throw',
  max_rows_to_read: 2_000_000_000,
  read_overflow_mode: 'throw',
  max_result_rows: 1_000_000,
  max_result_bytes: 32 * MIB,
  result_overflow_mode: 'throw',
  max_memory_usage: 512 * MIB,
  // No statement of a client writes; `2` because settings come with the request.
  readonly: 2,
  cancel_http_readonly_queries_on_client_close: 1,
} as const;

/**
 * A result that is streamed may be of any size and take any time; its reader, its memory and what it sorts on disk
 * are what bounds it. The disk is that of the logs: sorts end before it is so full that nothing can be stored.
 */
const STREAM_LIMITS = {
  max_memory_usage: LIMITS.max_memory_usage,
  max_execution_time: 0,
  // Of ClickHouse's limits on temporary files the one for a query does not count what a sort writes (26.7, tried).
  max_bytes_to_sort: 2 * GIB,
  sort_overflow_mode: 'throw',
  min_free_disk_space_for_temporary_data: 3 * GIB,
  max_threads: 2,
  max_block_size: 8192,
  readonly: 2,
  cancel_http_readonly_queries_on_client_close: 1,
} as const;

/** What a query would have too much of: how to say it, and what to narrow. */
const EXCESSES = {
  rows: {
    detail: 'The query would read too many rows: narrow the time range, or filter by service, host or level.',
    parameter: 'from',
  },
  time: {
    detail:
      'The query takes too long: narrow the time range, or filter by service or host before searching text.',
    parameter: 'from',
  },
  memory: {
    detail: 'The query needs too much memory: narrow the time range, or ask for fewer values or intervals.',
    parameter: 'from',
  },
  result: {
    detail:
      'The answer would be too large: ask for fewer rows with limit, or export them as application/x-ndjson.',
    parameter: 'limit',
  },
  disk: {
    detail:
      'The export needs too much disk to be sorted: narrow the time range, or filter by service, host or level.',
    parameter: 'from',
  },
} as const;
type Excess = keyof typeof EXCESSES;

const EXCESS_BY_CODE: ReadonlyMap<number, Excess> = new Map([
  [158, 'rows'], // TOO_MANY_ROWS
  [307, 'rows'], // TOO_MANY_BYTES
  [159, 'time'], // TIMEOUT_EXCEEDED
  [160, 'time'], // TOO_SLOW
]);
/** TOO_MANY_ROWS_OR_BYTES: of the answer, or of temporary files. */
const TOO_MUCH_CODE = 396;
/** NOT_ENOUGH_SPACE: less is free than temporary files must leave. */
const NO_SPACE_CODE = 243;
const MEMORY_LIMIT_CODE = 241;
const CANNOT_COMPILE_REGEXP_CODE = 427;

/** On whose account queries run. */
export interface QueryAccount {
  /** Told the rows that were read. */
  readonly charge: (rowCount: number) => void;
  /** Runs a query when it may; absent: at once. */
  readonly run?: <T>(work: () => Promise<T>) => Promise<T>;
}

/** By the signal of the request, which every query of it carries. */
const accounts = new WeakMap<AbortSignal, QueryAccount>();
/** A query that does not tell what it read is charged as if it had read this fast. */
const ROWS_PER_UNTOLD_MS = 10_000;

/** From now on queries under `signal` run on that account. */
export function openAccount(signal: AbortSignal, account: QueryAccount): void {
  accounts.set(signal, account);
}

/** Queries under `to` are charged as those under `from` are; they do not wait for others. */
export function shareCharge(from: AbortSignal, to: AbortSignal): void {
  const account = accounts.get(from);
  if (account !== undefined) accounts.set(to, { charge: account.charge });
}

/** Runs one query of a client within the limits; one that would pass them is `query_too_costly`. */
export async function selectLimited<Row>(
  store: QueryPort,
  statement: LimitedStatement,
  signal: AbortSignal,
): Promise<QuerySelection<Row>> {
  const account = accounts.get(signal);
  const select = (): Promise<QuerySelection<Row>> => selectCharged<Row>(store, statement, signal);
  return account?.run === undefined ? await select() : await account.run(select);
}

async function selectCharged<Row>(
  store: QueryPort,
  statement: LimitedStatement,
  signal: AbortSignal,
): Promise<QuerySelection<Row>> {
  const options: QueryOptions = { settings: { ...LIMITS, ...statement.settings }, signal };
  const account = accounts.get(signal);
  const startMs = performance.now();
  try {
    const selection = await unlessAborted(
      store.select<Row>(statement.sql, statement.params, options),
      signal,
    );
    account?.charge(selection.rowsRead);
    return selection;
  } catch (error) {
    account?.charge(untoldRows(startMs));
    throw toRefusal(error, 'result');
  }
}

/**
 * Rows of one statement of a client in chunks, without limits on their number or the time. ClickHouse does not tell
 * what such a statement reads: the time is charged in which it is waited for, and the rows that come at the least.
 */
export async function* streamUncapped<Row>(
  store: QueryPort,
  statement: LimitedStatement,
  signal: AbortSignal,
): AsyncGenerator<readonly Row[]> {
  const settings = { ...STREAM_LIMITS, ...statement.settings };
  const account = accounts.get(signal);
  let waitingSinceMs = performance.now();
  let isWaiting = true;
  try {
    for await (const rows of store.stream<Row>(statement.sql, statement.params, { settings, signal })) {
      account?.charge(Math.max(rows.length, untoldRows(waitingSinceMs)));
      isWaiting = false;
      yield rows;
      isWaiting = true;
      waitingSinceMs = performance.now();
    }
  } catch (error) {
    throw toRefusal(error, 'disk');
  } finally {
    if (isWaiting) account?.charge(untoldRows(waitingSinceMs));
  }
}

function untoldRows(startMs: number): number {
  return Math.ceil((performance.now() - startMs) * ROWS_PER_UNTOLD_MS);
}

/** `tooMuch` is what ClickHouse can only mean by "too many rows or bytes". */
function toRefusal(error: unknown, tooMuch: 'result' | 'disk'): unknown {
  if (codeOf(error) === CANNOT_COMPILE_REGEXP_CODE) {
    const detail = 'ClickHouse does not take a regular expression of the filter: choose a simpler one.';
    return new MillraceError('bad_request', detail, {
      cause: error,
      faults: [{ detail, parameter: 'filter' }],
    });
  }
  const excess = excessOf(error, tooMuch);
  if (excess === undefined) return error;
  const { detail, parameter } = EXCESSES[excess];
  return new MillraceError('query_too_costly', detail, { cause: error, faults: [{ detail, parameter }] });
}

/** Whether the query was refused for the time it took. */
export function isTooSlow(error: unknown): boolean {
  return error instanceof MillraceError && excessOf(error.cause, 'result') === 'time';
}

/** 0 when it was not ClickHouse that refused. */
function codeOf(error: unknown): number {
  if (!(error instanceof MillraceError)) return 0;
  return (error.cause as { readonly clickhouseCode?: number } | undefined)?.clickhouseCode ?? 0;
}

function excessOf(error: unknown, tooMuch: 'result' | 'disk'): Excess | undefined {
  if (!(error instanceof MillraceError)) return undefined;
  const code = codeOf(error);
  if (code === TOO_MUCH_CODE) return tooMuch;
  if (code === NO_SPACE_CODE && error.message.includes('temporary disk')) return 'disk';
  if (code !== MEMORY_LIMIT_CODE) return EXCESS_BY_CODE.get(code);
  // The same code says that the server as a whole is out of memory: then it is not the query's fault.
  return /query memory limit/i.test(error.message) ? 'memory' : undefined;
}
