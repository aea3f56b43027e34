/**
 * What an error of ClickHouse, or of the way to it, means for the caller: wait and try again, or refused for good.
 * Inserts and other statements differ in one point. An insert that fails for an unknown reason is tried again,
 * since treating it as refused would turn good rows into dead letters; a query that fails so is refused.
 */
import { type ErrorCode, MillraceError, quoteValue } from '../errors.ts';

export type Operation = 'insert' | 'statement';

/** Attached as the `cause` of an error that ClickHouse answered with; the text is in the message, cut. */
interface StoreErrorCause {
  readonly clickhouseCode: number;
  readonly clickhouseType: string;
}

/** Codes whose meaning does not depend on the operation (src/Common/ErrorCodes.cpp of ClickHouse). */
const CODES: Readonly<Record<number, ErrorCode>> = {
  159: 'store_overloaded', // TIMEOUT_EXCEEDED
  160: 'store_overloaded', // TOO_SLOW
  202: 'store_overloaded', // TOO_MANY_SIMULTANEOUS_QUERIES
  241: 'store_overloaded', // MEMORY_LIMIT_EXCEEDED
  252: 'store_overloaded', // TOO_MANY_PARTS
  439: 'store_overloaded', // CANNOT_SCHEDULE_TASK
  164: 'store_unavailable', // READONLY
  203: 'store_unavailable', // NO_FREE_CONNECTION
  209: 'store_unavailable', // SOCKET_TIMEOUT
  210: 'store_unavailable', // NETWORK_ERROR
  225: 'store_unavailable', // NO_ZOOKEEPER
  236: 'store_unavailable', // ABORTED
  242: 'store_unavailable', // TABLE_IS_READ_ONLY
  279: 'store_unavailable', // ALL_CONNECTION_TRIES_FAILED
  285: 'store_unavailable', // TOO_FEW_LIVE_REPLICAS
  319: 'store_unavailable', // UNKNOWN_STATUS_OF_INSERT
  394: 'store_unavailable', // QUERY_WAS_CANCELLED
  999: 'store_unavailable', // KEEPER_EXCEPTION
  243: 'disk_full', // NOT_ENOUGH_SPACE
};

/**
 * Codes by which an insert says that its rows are at fault, so that smaller inserts can find the bad one:
 * malformed or mistyped data, sizes out of bounds, and LOGICAL_ERROR, which malformed Native blocks can cause.
 */
const ROWS_AT_FAULT = new Set([
  6, 7, 26, 27, 32, 33, 34, 38, 41, 43, 44, 49, 53, 69, 70, 72, 117, 124, 128, 130, 131, 177, 190, 191, 349,
  376, 407, 441, 457, 463, 465, 469, 480, 589, 1001,
]);
/** FUNCTION_THROW_IF_VALUE_IS_NON_ZERO: the ownership guard inside a statement fired. */
const GUARD_FIRED = 395;

interface ServerError extends Error {
  readonly code: string;
  readonly type?: string;
}

function isServerError(error: unknown): error is ServerError {
  const code = error instanceof Error ? (error as Partial<ServerError>).code : undefined;
  return typeof code === 'string' && /^\d+$/.test(code);
}

function classify(code: number, message: string, operation: Operation): ErrorCode {
  if (/No space left on device|Disk quota exceeded/.test(message)) return 'disk_full';
  // The same code as too many parts, but waiting does not help: only a smaller insert does.
  if (message.startsWith('Too many partitions')) return 'store_refused';
  const known = CODES[code];
  if (known !== undefined) return known;
  if (code === GUARD_FIRED) return 'lane_closed';
  if (operation === 'statement') return 'store_refused';
  return ROWS_AT_FAULT.has(code) ? 'store_refused' : 'store_unavailable';
}

/** Any error of the HTTP client as a MillraceError. `host` is named where ClickHouse could not be reached. */
export function toStoreError(error: unknown, operation: Operation, host: string): MillraceError {
  if (error instanceof MillraceError) return error;
  if (isServerError(error)) {
    const code = Number(error.code);
    const cause: StoreErrorCause = { clickhouseCode: code, clickhouseType: error.type ?? '' };
    const text = `ClickHouse answered ${cause.clickhouseType} (code ${code}): ${quoteValue(error.message.trim())}.`;
    return new MillraceError(classify(code, error.message, operation), text, { cause });
  }
  const { code, message } = error as { code?: unknown; message?: string };
  // An answer that is not ClickHouse's (a proxy's, or 404 for a wrong key) may repeat the request: cut its query off.
  const reason = typeof code === 'string' ? code : quoteValue((message ?? String(error)).split('?', 1)[0]);
  return new MillraceError('store_unavailable', `ClickHouse at ${host} cannot be reached: ${reason}.`);
}

/** Code of ClickHouse behind an error of the store, undefined when it was not ClickHouse that refused. */
export function clickhouseCode(error: unknown): number | undefined {
  const cause =
    error instanceof MillraceError ? (error.cause as Partial<StoreErrorCause> | undefined) : undefined;
  return cause?.clickhouseCode;
}
