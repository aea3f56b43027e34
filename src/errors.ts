/**
 * The one table of error codes and the one error class.
 * A message says what could not be done, why, and the value; never a token, never a whole log line.
 */

interface ErrorKind {
  /** HTTP status that the API answers with. */
  readonly status: number;
  /** Whether doing the same again later may succeed. */
  readonly isRetryable: boolean;
  /** Short title, used as the `title` of problem+json. */
  readonly title: string;
}

export const ERROR_KINDS = {
  usage: { status: 400, isRetryable: false, title: 'Wrong usage' },
  config_invalid: { status: 500, isRetryable: false, title: 'Settings are invalid' },
  platform_unsupported: { status: 500, isRetryable: false, title: 'Platform is not supported' },
  store_unavailable: { status: 503, isRetryable: true, title: 'ClickHouse is not available' },
  store_overloaded: { status: 503, isRetryable: true, title: 'ClickHouse is overloaded' },
  store_refused: { status: 500, isRetryable: false, title: 'ClickHouse refused the statement' },
  address_unavailable: { status: 500, isRetryable: false, title: 'Address cannot be listened on' },
  migration_conflict: { status: 500, isRetryable: false, title: 'Migrations do not match the database' },
  sources_exhausted: { status: 500, isRetryable: false, title: 'All source numbers are used up' },
  data_dir_in_use: { status: 500, isRetryable: false, title: 'Data directory is in use' },
  disk_full: { status: 503, isRetryable: true, title: 'Disk is nearly full' },
  bus_unavailable: { status: 503, isRetryable: true, title: 'Kafka is not available' },
  thread_died: { status: 503, isRetryable: true, title: 'A worker thread died' },
  lane_closed: { status: 503, isRetryable: true, title: 'The lane was closed' },
  shutting_down: { status: 503, isRetryable: true, title: 'Shutting down' },
  deadline_exceeded: { status: 503, isRetryable: true, title: 'Deadline exceeded' },
  bad_request: { status: 400, isRetryable: false, title: 'Bad request' },
  unauthorized: { status: 401, isRetryable: false, title: 'Authentication is required' },
  forbidden: { status: 403, isRetryable: false, title: 'Forbidden' },
  not_found: { status: 404, isRetryable: false, title: 'Not found' },
  method_not_allowed: { status: 405, isRetryable: false, title: 'Method not allowed' },
  not_acceptable: { status: 406, isRetryable: false, title: 'Not acceptable' },
  already_exists: { status: 409, isRetryable: false, title: 'It exists already' },
  precondition_failed: { status: 412, isRetryable: false, title: 'Precondition failed' },
  payload_too_large: { status: 413, isRetryable: false, title: 'Payload is too large' },
  unsupported_media_type: { status: 415, isRetryable: false, title: 'Unsupported media type' },
  query_too_costly: { status: 422, isRetryable: false, title: 'Query is too costly' },
  unprocessable: { status: 422, isRetryable: false, title: 'Cannot be processed' },
  idempotency_key_reused: {
    status: 422,
    isRetryable: false,
    title: 'Idempotency-Key was used with another body',
  },
  request_in_progress: { status: 409, isRetryable: true, title: 'The same request is under way' },
  too_many_requests: { status: 429, isRetryable: true, title: 'Too many requests' },
  internal: { status: 500, isRetryable: false, title: 'Internal error' },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_KINDS;

/** One place of a request that does not fit. */
export interface InputFault {
  readonly detail: string;
  /** Into the body: a JSON pointer as a fragment, such as `#/username`. */
  readonly pointer?: string;
  /** Name of the query parameter. */
  readonly parameter?: string;
  /** Character of the parameter's value at which it went wrong, from 0. */
  readonly position?: number;
  /** What was probably meant. */
  readonly suggestion?: string;
}

interface ErrorOptions {
  readonly cause?: unknown;
  /** What the client can mend, where there are places to name. */
  readonly faults?: readonly InputFault[];
  /** When it is known how long to wait. */
  readonly retryAfterSeconds?: number;
}

/** The only error class of the program; `code` decides status and retry. */
export class MillraceError extends Error {
  readonly code: ErrorCode;
  readonly faults: readonly InputFault[];
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'MillraceError';
    this.code = code;
    this.faults = options.faults ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get isRetryable(): boolean {
    return ERROR_KINDS[this.code].isRetryable;
  }

  get status(): number {
    return ERROR_KINDS[this.code].status;
  }
}

/** An error as it crosses a thread. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly stack: string;
}

export function toPlainError(error: unknown): PlainError {
  const known = toMillraceError(error);
  return { code: known.code, message: known.message, stack: known.stack ?? '' };
}

export function fromPlainError(plain: PlainError): MillraceError {
  const error = new MillraceError(plain.code, plain.message);
  error.stack = plain.stack;
  return error;
}

/** Anything thrown, as a MillraceError; what is not one already becomes `internal` with its cause kept. */
export function toMillraceError(error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  return new MillraceError('internal', errorMessage(error), { cause: error });
}

export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const MAX_QUOTED_CHARACTERS = 200;

/** What JSON leaves as it is: characters that steer a terminal, end a line or turn the direction of writing. */
const STEERING = /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** A value for an error text: control characters escaped, cut to 200 characters, in quotes. */
export function quoteValue(value: unknown): string {
  const text = typeof value === 'string' ? value : String(value);
  const cut = text.length > MAX_QUOTED_CHARACTERS ? `${text.slice(0, MAX_QUOTED_CHARACTERS)}…` : text;
  return JSON.stringify(cut).replaceAll(STEERING, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
