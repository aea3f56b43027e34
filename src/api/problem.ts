/**
 * Errors as the API shows them: `application/problem+json` (RFC 9457). What went wrong inside (a statement, a
 * path, a stack) is not the client's: it goes to the log under the same request id.
 */
import { ERROR_KINDS, type ErrorCode, MillraceError } from '../errors.ts';
import type { HttpResponse } from './http/port.ts';

/** Codes whose text was written for the client although their status is 5xx. */
const SPEAKING_CODES: ReadonlySet<ErrorCode> = new Set(['shutting_down', 'deadline_exceeded', 'disk_full']);

const HIDDEN_DETAIL: Readonly<Partial<Record<ErrorCode, string>>> = {
  store_unavailable: 'ClickHouse cannot be reached now.',
  store_overloaded: 'ClickHouse has too much to do now.',
  thread_died: 'A part of the program failed and is being started again.',
  bus_unavailable: 'Kafka cannot be reached now.',
};
const DEFAULT_DETAIL = 'The request could not be served. The log has more under this request id.';

const RETRY_AFTER_SECONDS = 5;

export interface ProblemExtras {
  readonly requestId?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Extension members (RFC 9457, 3.2). */
  readonly members?: Readonly<Record<string, unknown>>;
}

export function problemResponse(error: MillraceError, extras: ProblemExtras = {}): HttpResponse {
  const { status, title, isRetryable } = ERROR_KINDS[error.code];
  return {
    status,
    headers: {
      'Content-Type': 'application/problem+json',
      ...(isRetryable ? { 'Retry-After': String(error.retryAfterSeconds ?? RETRY_AFTER_SECONDS) } : {}),
      ...(status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}),
      ...extras.headers,
    },
    body: JSON.stringify({
      type: problemType(error.code),
      title,
      status,
      detail: publicDetail(error),
      code: error.code,
      request_id: extras.requestId,
      ...(error.faults.length > 0 ? { errors: error.faults } : {}),
      ...extras.members,
    }),
  };
}

/** Relative to the server: the page there explains the code. */
export function problemType(code: ErrorCode): string {
  return `/problems/${code}`;
}

function publicDetail(error: MillraceError): string {
  if (ERROR_KINDS[error.code].status < 500 || SPEAKING_CODES.has(error.code)) return error.message;
  return HIDDEN_DETAIL[error.code] ?? DEFAULT_DETAIL;
}

export function badRequest(message: string): MillraceError {
  return new MillraceError('bad_request', message);
}

/** A query parameter that cannot be meant so. */
export function badParameter(parameter: string, detail: string, suggestion?: string): MillraceError {
  const fault = { detail, parameter, ...(suggestion === undefined ? {} : { suggestion }) };
  return new MillraceError('bad_request', detail, { faults: [fault] });
}

export function jsonResponse(body: unknown, status = 200): HttpResponse {
  return { status, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
}
