/**
 * Resources that change: each change is a new row with a higher version, which is the resource's ETag.
 */
import { MillraceError } from '../errors.ts';
import type { HttpRequest, HttpResponse } from './http/port.ts';
import { jsonResponse } from './problem.ts';

const MICROS_PER_MS = 1000;

/**
 * Microseconds since the epoch, and above the version `before`, even when a clock went back. The clock gives
 * milliseconds; what is below is random, so that two instances hardly ever choose the same.
 */
export function nextVersion(before = 0): number {
  const version = Date.now() * MICROS_PER_MS + Math.floor(Math.random() * MICROS_PER_MS);
  return Math.max(version, before + 1);
}

/** Throws `precondition_failed` when the request has an `If-Match` (RFC 9110, 13.1.1) that does not name `version`. */
export function checkIfMatch({ headers }: Pick<HttpRequest, 'headers'>, version: number): void {
  const wanted = headers.get('if-match');
  if (wanted === undefined) return;
  const tags = wanted.split(',').map((tag) => tag.trim());
  if (tags.includes('*') || tags.includes(etagOf(version))) return;
  throw new MillraceError(
    'precondition_failed',
    'It was changed since: read it again, then send the change.',
  );
}

/** `body` with the version as its ETag. */
export function versionedResponse(body: object, version: number, status = 200): HttpResponse {
  const response = jsonResponse(body, status);
  return { ...response, headers: { ...response.headers, ETag: etagOf(version) } };
}

function etagOf(version: number): string {
  return `"${version}"`;
}
